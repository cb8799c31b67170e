// Command manifests reads deployment files with the libraries of the programs that will read them later, and prints what
// it understood as JSON: Kubernetes objects decoded strictly into their API types and judged by the restricted Pod Security
// Standard, a compose file by its published schema, a Dockerfile by BuildKit's own parser and lint rules.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: manifests kubernetes|compose|dockerfile FILE...")
		os.Exit(2)
	}
	readers := map[string]func([]string) (any, error){
		"kubernetes": readKubernetes,
		"compose":    readCompose,
		"dockerfile": readDockerfile,
	}
	read, known := readers[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "manifests: unknown command %q\n", os.Args[1])
		os.Exit(2)
	}
	told, err := read(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(told); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
