package push

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
)

const (
	suffix    = ".push"
	unwhole   = ".tmp" // behind the suffix, until all of the file is synced
	magic     = "LEATPSH\x01"
	headSize  = 16
	diskBlock = 4 << 10 // a file system gives files its room in blocks, mostly of this size
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errDamaged = errors.New("the file is damaged")
)

// name is what the body's file is called.
func (b *body) name() string {
	return fmt.Sprintf("%016d-%d-%d%s", b.number, max(0, b.at), b.samples, suffix)
}

// parseName reads a file's name.
func parseName(name string) (b body, ok bool) {
	fields := strings.Split(strings.TrimSuffix(name, suffix), "-")
	if len(fields) != 3 {
		return b, false
	}
	var n [3]int64
	for i, most := range [3]int64{math.MaxInt64 - 1, math.MaxInt64, math.MaxInt32} {
		var err error
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil || n[i] < 0 || n[i] > most {
			return b, false
		}
	}
	b = body{number: n[0], at: n[1], samples: n[2]}
	return b, b.name() == name
}

// takes is how much of the disk a file of that length takes.
func takes(length int64) int64 { return (length + diskBlock - 1) / diskBlock * diskBlock }

// appendFile makes a file of that name: its head, then the body.
func appendFile(dst []byte, name string, body []byte) []byte {
	from := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, checksum(dst[from:], name, body))
	return append(dst, body...)
}

// parseFile returns the body in a file of that name.
func parseFile(file []byte, name string) (body []byte, err error) {
	if len(file) < headSize || string(file[:len(magic)]) != magic {
		return nil, errDamaged
	}
	head, body := file[:headSize-4], file[headSize:]
	if uint64(binary.LittleEndian.Uint32(head[8:])) != uint64(len(body)) ||
		binary.LittleEndian.Uint32(file[headSize-4:]) != checksum(head, name, body) {
		return nil, errDamaged
	}
	return body, nil
}

func checksum(head []byte, name string, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, head)
	sum = crc32.Update(sum, castagnoli, []byte(name))
	return crc32.Update(sum, castagnoli, body)
}
