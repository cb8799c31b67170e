"""Calls `test.Model` over one channel of grpcio, with its usual settings, as standard input says, and tells how they ended, as JSON.

`atOnce` threads call `Echo` with a body of their own until so many `answers` have differed (each is a connection of the model's), or
`calls` have been made. With `chat` a stream stays open meanwhile, and gets an answer to each message. `padding` bytes stand behind
each body.
"""

import json
import queue
import sys
import threading

import grpc


def main():
    work = json.load(sys.stdin)
    channel = grpc.insecure_channel(work["target"])
    call_echo = channel.unary_unary("/test.Model/Echo")
    told = {"calls": 0, "failed": [], "chat": []}
    answers = set()
    lock = threading.Lock()

    def next_call():
        with lock:
            if told["calls"] >= work["calls"] or len(answers) >= work.get("answers", sys.maxsize):
                return None
            told["calls"] += 1
            return told["calls"]

    def caller():
        while (number := next_call()) is not None:
            try:
                answer = call_echo(f"call {number}".encode() + b" " * work.get("padding", 0), timeout=120)
                with lock:
                    answers.add(answer.decode())
            except grpc.RpcError as error:
                with lock:
                    told["failed"].append({"code": error.code().name, "details": error.details()})

    messages = queue.Queue()
    replies = channel.stream_stream("/test.Model/Chat")(iter(messages.get, None)) if work.get("chat") else None

    def say(text):
        if replies is not None:
            messages.put(text.encode())
            told["chat"].append(next(replies).decode())

    say("first")
    callers = [threading.Thread(target=caller) for _ in range(work["atOnce"])]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    say("last")
    messages.put(None)
    told["answers"] = len(answers)
    told["chatEnded"] = replies is None or next(replies, None) is None
    json.dump(told, sys.stdout)


main()
