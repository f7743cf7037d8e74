package container

import "bytes"

// A device is a block device's number.
type device struct{ major, minor uint32 }

// deviceNumber reads "major:minor".
func deviceNumber(text []byte) (d device, ok bool) {
	left, right, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		return d, false
	}
	major, ok1 := number(left)
	minor, ok2 := number(right)
	return device{uint32(major), uint32(minor)}, ok1 && ok2 && major < 1<<32 && minor < 1<<32
}

// An ioLine is what one device has done, as io.stat says it (Documentation/admin-guide/cgroup-v2.rst).
type ioLine struct {
	device                                 device
	readBytes, writtenBytes, reads, writes uint64
}

// ioStat reads the next device of io.stat that has figures. Some kernels begin a line with several devices; the figures
// are the last one's.
func ioStat(text []byte) (io ioLine, rest []byte, ok bool) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		io, named, figures := ioLine{}, false, false
		for len(l) > 0 {
			var word []byte
			word, l = field(l)
			key, value, isPair := bytes.Cut(word, []byte("="))
			if !isPair {
				if d, ok := deviceNumber(word); ok {
					io, named = ioLine{device: d}, true
				}
				continue
			}
			n, good := number(value)
			if !good {
				continue
			}
			switch string(key) {
			case "rbytes":
				io.readBytes, figures = n, true
			case "wbytes":
				io.writtenBytes, figures = n, true
			case "rios":
				io.reads, figures = n, true
			case "wios":
				io.writes, figures = n, true
			}
		}
		if named && figures {
			return io, text, true
		}
	}
	return ioLine{}, nil, false
}

// A blkioLine is one figure of a blkio file (Documentation/admin-guide/cgroup-v1/blkio-controller.rst).
type blkioLine struct {
	device    device
	operation []byte
	value     uint64
}

// blkio reads the next line "major:minor operation number". The sum over all devices at the end is no such line.
func blkio(text []byte) (b blkioLine, rest []byte, ok bool) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		first, l := field(l)
		d, named := deviceNumber(first)
		operation, l := field(l)
		if n, ok := number(l); ok && named && len(operation) > 0 {
			return blkioLine{d, operation, n}, text, true
		}
	}
	return blkioLine{}, nil, false
}
