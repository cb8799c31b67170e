package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// step is one instruction as BuildKit read it.
type step struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Line int    `json:"line"`
}

type stage struct {
	Name  string `json:"name"`
	Base  string `json:"base"`
	Steps []step `json:"steps"`
}

type dockerfile struct {
	Stages   []stage  `json:"stages"`
	Warnings []string `json:"warnings"`
}

func readDockerfile(files []string) (any, error) {
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	told := dockerfile{Stages: []stage{}, Warnings: []string{}}
	for _, warning := range parsed.Warnings {
		told.Warnings = append(told.Warnings, warning.Short)
	}
	lint := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, at []parser.Range) {
			told.Warnings = append(told.Warnings, fmt.Sprintf("%s: %s %v", rule, message, at))
		},
	})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		return nil, err
	}
	for _, each := range stages {
		next := stage{Name: each.Name, Base: each.BaseName, Steps: []step{}}
		for _, command := range each.Commands {
			line := 0
			if at := command.Location(); len(at) > 0 {
				line = at[0].Start.Line
			}
			next.Steps = append(next.Steps, step{Name: command.Name(), Text: fmt.Sprint(command), Line: line})
		}
		told.Stages = append(told.Stages, next)
	}
	return told, nil
}
