package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is one line of `go test -json`; see `go doc test2json`.
type event struct{ Action, Package, Test, Output string }

// A tally is what came of the tests.
type tally struct{ passed, failed, skipped int }

// read follows the events to their end and writes to out what a reader wants to see of them.
func read(events io.Reader, out io.Writer) (t tally, err error) {
	held := make(map[string]map[string]*strings.Builder) // output by package and test, until it is known whether it matters
	blamed := make(map[string]bool)                      // packages with a failed test
	show := func(pkg, test string) {
		if text := held[pkg][test]; text != nil {
			fmt.Fprint(out, text)
		}
	}
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return t, err
		}
		var e event
		if json.Unmarshal(line, &e) != nil || e.Action == "" {
			out.Write(line) // not from test2json: show it
			continue
		}
		switch {
		case e.Action == "build-output":
			fmt.Fprint(out, e.Output)
		case e.Action == "output" && e.Test == "":
			if e.Output != "PASS\n" && e.Output != "FAIL\n" && !strings.HasSuffix(e.Output, "[no test files]\n") {
				fmt.Fprint(out, e.Output)
			}
		case e.Action == "output":
			if held[e.Package] == nil {
				held[e.Package] = make(map[string]*strings.Builder)
			}
			if held[e.Package][e.Test] == nil {
				held[e.Package][e.Test] = new(strings.Builder)
			}
			held[e.Package][e.Test].WriteString(e.Output)
		case e.Test != "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			switch e.Action {
			case "pass":
				t.passed++
			case "fail":
				t.failed++
				blamed[e.Package] = true
				show(e.Package, e.Test)
			case "skip":
				t.skipped++
				show(e.Package, e.Test)
			}
			delete(held[e.Package], e.Test)
		case e.Action == "fail": // the package
			if !blamed[e.Package] {
				t.failed++
			}
			for _, test := range slices.Sorted(maps.Keys(held[e.Package])) { // tests that never ended
				show(e.Package, test)
			}
		}
	}
}
