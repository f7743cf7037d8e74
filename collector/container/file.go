package container

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxFile bounds how much of one file is read: 20 times what the list of 4,000 processes or 500 devices takes.
const maxFile = 1 << 20

// maxKept is the largest buffer that is kept from one scrape to the next.
const maxKept = 128 << 10

var errTooLarge = fmt.Errorf("is larger than %d bytes", maxFile)

// open opens a file of folder dir, or a path if dir is unix.AT_FDCWD.
func open(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// slurp reads a file to its end, into buf or what it has to grow to. A file without a size, as the kernel's are, may
// give less than was asked for before its end.
func slurp(fd int, buf []byte) (text, grown []byte, err error) {
	n := 0
	for {
		if n == len(buf) {
			if n >= maxFile {
				return nil, buf, errTooLarge
			}
			buf = append(buf, make([]byte, max(len(buf), 4096))...)
		}
		m, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, buf, err
		case m == 0:
			return buf[:n], buf, nil
		default:
			n += m
		}
	}
}

// folders calls each for the folders in a folder. The name is only good during the call.
func folders(fd int, buf []byte, each func(name []byte)) error {
	const header = 19 // ino, off, reclen, type of struct linux_dirent64: getdents64(2)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for rest := buf[:n]; len(rest) > header; {
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size <= header || size > len(rest) {
				return errors.New("getdents64: not a directory entry")
			}
			name := rest[header:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if rest[18] == unix.DT_DIR && string(name) != "." && string(name) != ".." {
				each(name)
			}
			rest = rest[size:]
		}
	}
}

// missing says that a file or a process is not there, or not any more.
func missing(err error) bool {
	for _, is := range []error{unix.ENOENT, unix.ENODEV, unix.ESRCH, unix.ENXIO, unix.ENOTDIR} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
