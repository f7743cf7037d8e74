package pipeline

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockHelper); dir != "" {
		holdLock(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
