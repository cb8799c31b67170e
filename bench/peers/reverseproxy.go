// The peer: Go's own reverse proxy, nothing added. Arguments: listen address, upstream URL.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	upstream, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 1024}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
