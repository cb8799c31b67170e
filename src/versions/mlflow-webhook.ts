// Deliveries of MLflow's webhooks: genuine when signed with the shared secret, and recent. What they say is only taken as a hint.

import { createHmac, timingSafeEqual } from "node:crypto";

/** Older or later than this they are refused, as MLflow's documentation recommends. */
const WINDOW_S = 300;
const ID_MAX = 128;

export interface Delivery {
  /** X-MLflow-Delivery-Id, X-MLflow-Timestamp (Unix s) and X-MLflow-Signature; "" when absent. */
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Uint8Array;
}

export type DeliveryVerdict =
  | { readonly kind: "genuine"; readonly id: string }
  | { readonly kind: "refused"; readonly why: string };

/** `v1,` and base64 of HMAC-SHA256 over `{delivery id}.{timestamp}.{body}` (mlflow/webhooks/delivery.py). */
export function verifyWebhook(secret: string, delivery: Delivery, nowMs: number): DeliveryVerdict {
  const { id, timestamp, signature, body } = delivery;
  if (id === "" || id.length > ID_MAX || !/^\d{1,12}$/.test(timestamp))
    return { kind: "refused", why: "X-MLflow-Delivery-Id or X-MLflow-Timestamp is missing" };
  const signed = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest();
  const given = Buffer.from(/^v1,([\w+/]{43}=)$/.exec(signature)?.[1] ?? "", "base64");
  if (given.length !== signed.length || !timingSafeEqual(given, signed))
    return { kind: "refused", why: "the signature does not fit the secret" };
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > WINDOW_S)
    return { kind: "refused", why: `it was sent more than ${WINDOW_S} s ago, or the clocks differ` };
  return { kind: "genuine", id };
}
