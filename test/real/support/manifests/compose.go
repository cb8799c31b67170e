package main

import (
	"context"

	"github.com/compose-spec/compose-go/v2/cli"
)

// readCompose loads the files as one project: published schema, interpolation, consistency of references.
func readCompose(files []string) (any, error) {
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv, cli.WithDotEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
