// Package load writes the logs that agents are compared with, into a folder that stands for /var/log/pods.
//
// Package simulate plays the containers and the kubelet. Every container's lines have one shape, and the shapes take
// turns: JSON, access log, Kubernetes component, Java service with stack traces, database, logfmt; about 190 bytes with
// containerd's head. Identifiers, numbers and times are random, so that the lines compress as real ones do and no
// better: zstd -1 makes the mix 7.1 times smaller and snappy 4.3 times. Ratios says it of the files at hand.
// The lines of a container are numbered from 0, and Written says how many there are, so that each can be accounted for.
//
// A Backlog is there before the agent; a Stream is written while it runs, each line by a write(2) of its own, as
// containerd does, with the time at which it was written. Meanwhile the kubelet's part is played beside it: logs that
// have grown beyond the limit are rotated, and the older ones compressed and deleted.
//
// Whoever calls is a process of its own: the load's CPU is never in an agent's figures.
package load

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/leatd/leat/collector/simulate"
)

// Written is what a load has put on disk.
type Written struct {
	Lines map[string]int64 // by NAMESPACE/POD/CONTAINER, numbered from 0
	Total int64            // lines
	Bytes int64            // of the files, containerd's heads included
}

// A writer is one container and its lines.
type writer struct {
	*simulate.Container
	name  string
	lines *simulate.Lines
	line  []byte
}

// newWriters starts so many containers, each in a pod of its own.
func newWriters(root string, n, buffer, keep int) ([]*writer, error) {
	node := &simulate.Node{Root: root}
	writers := make([]*writer, n)
	for i := range writers {
		spec := simulate.Spec{Namespace: "load", Pod: fmt.Sprintf("pod-%04d", i), Name: "app", Buffer: buffer, MaxFiles: keep}
		c, err := node.Start(spec)
		if err != nil {
			return nil, err
		}
		writers[i] = &writer{
			Container: c,
			name:      spec.Namespace + "/" + spec.Pod + "/" + spec.Name,
			lines:     simulate.NewLines(simulate.Shape(i)%simulate.NumShapes, uint64(i)).Number(0),
		}
	}
	return writers, nil
}

// next writes a line, and says whether more of the same event follow at once.
func (w *writer) next(at time.Time) (more bool, err error) {
	var s simulate.Stream
	w.line, s = w.lines.Append(w.line[:0], at)
	if err := w.Write(s, w.line, at); err != nil {
		return false, err
	}
	return w.lines.More(), nil
}

// written sums up.
func written(writers []*writer) *Written {
	sum := &Written{Lines: make(map[string]int64, len(writers))}
	for _, w := range writers {
		n := w.Written().Lines
		sum.Lines[w.name] = n
		sum.Total += n
		sum.Bytes += w.RecordBytes()
	}
	return sum
}

// exit writes what is held back, and closes the files.
func exit(writers []*writer) error {
	var errs []error
	for _, w := range writers {
		errs = append(errs, w.Exit())
	}
	return errors.Join(errs...)
}

// Ratios says how much smaller zstd at its level 1 and snappy make files, in blocks of 256 KiB of their first 4 MiB.
func Ratios(paths []string) (zstd1, snappy float64, err error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, 0, fmt.Errorf("load: zstd: %w", err)
	}
	defer encoder.Close()
	block := make([]byte, 256<<10)
	var plain, byZstd, bySnappy int
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return 0, 0, fmt.Errorf("load: %w", err)
		}
		for range 16 {
			n, err := io.ReadFull(f, block)
			plain += n
			byZstd += len(encoder.EncodeAll(block[:n], nil))
			bySnappy += len(s2.EncodeSnappy(nil, block[:n]))
			if err != nil { // the end of the file, or of what can be read of it
				break
			}
		}
		f.Close()
	}
	if plain == 0 {
		return 0, 0, errors.New("load: the files are empty")
	}
	return float64(plain) / float64(byZstd), float64(plain) / float64(bySnappy), nil
}
