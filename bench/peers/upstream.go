// The model server of the relay benchmark: reads a body, answers 300 bytes of OIP JSON. The same for every peer.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func main() {
	answer := `{"model_name":"bench","model_version":"1","outputs":[{"name":"predict","shape":[1,1],"datatype":"FP64","data":[0.7310585786300049]}],"parameters":{"pad":"` + strings.Repeat("x", 140) + `"}}`
	body := []byte(answer)
	large := []byte(`{"predictions":[0.5],"pad":"` + strings.Repeat("x", 100*1024) + `"}`)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		if r.URL.Path == "/large" {
			w.Header()["Content-Length"] = []string{strconv.Itoa(len(large))}
			w.Write(large)
			return
		}
		w.Write(body)
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
