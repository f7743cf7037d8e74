package sinks

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestUvarint(t *testing.T) {
	var values []uint64
	for shift := range 64 {
		values = append(values, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for _, v := range append(values, ^uint64(0)) {
		want := binary.AppendUvarint(nil, v)
		var put [binary.MaxVarintLen64]byte
		n := putUvarint(put[:], v)
		if !bytes.Equal(put[:n], want) || !bytes.Equal(appendUvarint(nil, v), want) || uvarintLen(v) != len(want) {
			t.Errorf("%d: put %x, appended %x, length %d, want %x", v, put[:n], appendUvarint(nil, v), uvarintLen(v), want)
		}
	}
}
