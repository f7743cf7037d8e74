package servers

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Tie starts a command that the kernel kills when this process ends, however that ends. done is closed when the command
// has ended and was waited for; then exit is how it ended.
func Tie(cmd *exec.Cmd) (done <-chan struct{}, exit *error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	ended, started := make(chan struct{}), make(chan error)
	exit = new(error)
	go func() {
		// The kernel sends the death signal when the thread that forked ends, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			*exit = cmd.Wait()
			close(ended)
		}
	}()
	return ended, exit, <-started
}
