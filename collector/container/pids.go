package container

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
)

// NoHostPIDs is what an operator is told where PrivatePIDs is true.
const NoHostPIDs = "leatd is not in the host's PID namespace, so there are no container_network_*, and under cgroup v1 no container_processes: " +
	"set hostPID: true for its pod if you want them"

// PrivatePIDs tells that this process has a PID namespace of its own, and not that of the /proc at procfs, which is the
// host's. It is false where that can't be told. The link self in a /proc names the reader by its number there: see
// proc(5) and pid_namespaces(7).
func PrivatePIDs(procfs string) bool {
	there, err := os.Readlink(filepath.Join(cmp.Or(procfs, "/proc"), "self"))
	return err == nil && there != strconv.Itoa(os.Getpid())
}
