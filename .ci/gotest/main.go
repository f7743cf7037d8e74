// Gotest is `go test` for .ci/run: it runs it with the arguments that it gets and never from the cache, shows in full
// what went wrong and of the rest a line per package, and adds a line "PASSED FAILED SKIPPED ARGUMENTS" to the file
// $GOTEST_TALLY.
//
// Tests and subtests count one each, as go test reports them. A package that fails with no test of its own to blame
// counts as one failure: it does not build, its process ended or ran out of time, or it leaks.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	code, err := run(os.Args[1:], os.Getenv("GOTEST_TALLY"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(args []string, path string) (code int, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t, readErr := read(events, os.Stdout)
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		code = max(exit.ExitCode(), 1) // -1 after a signal
	} else if err != nil {
		return 0, err
	}
	if readErr != nil {
		return 0, readErr
	}
	if code != 0 && t.failed == 0 {
		t.failed = 1
	}
	if code == 0 && t.failed > 0 {
		code = 1
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if path == "" {
		return code, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintln(file, t.passed, t.failed, t.skipped, strings.Join(args, " "))
	return code, errors.Join(err, file.Close())
}
