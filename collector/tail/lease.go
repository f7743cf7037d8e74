package tail

import "golang.org/x/sys/unix"

// writers says whether somebody has a file open for writing.
type writers uint8

const (
	unknownWriters writers = iota
	noWriter
	someWriter
)

// askWriters asks the kernel for a read lease and gives it back at once: fcntl(2) grants one only where nobody has the file
// open for writing. So a rotated file is known to be complete the moment the runtime has closed it, and not only after
// a while without news. Leases are for the file's owner; where they can't be had (another owner without CAP_LEASE, a
// file system without leases) the answer is unknown, and quiet has to do.
func askWriters(fd int) writers {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
		return noWriter
	case unix.EAGAIN:
		return someWriter
	}
	return unknownWriters
}

func (f *file) writers() writers {
	if f.gzip {
		return noWriter
	}
	return f.lease(f.fd)
}
