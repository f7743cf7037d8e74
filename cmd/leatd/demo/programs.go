package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

// steady writes whole lines at its rate.
func steady(ctx context.Context, w *writer) error {
	if err := w.begin(w.program.pod); err != nil {
		return err
	}
	_, err := w.pace(ctx, 0, w.write)
	return err
}

// chatty writes so much that its log is rotated often, and now and then half a line, whose rest comes with the next
// one's turn: some of these lines straddle a rotation.
func chatty(ctx context.Context, w *writer) error {
	if err := w.begin(w.program.pod); err != nil {
		return err
	}
	var rest []byte
	finish := func() error {
		if len(rest) == 0 {
			return nil
		}
		err := w.c.Write(simulate.Stdout, rest, time.Now())
		rest = rest[:0]
		return err
	}
	_, err := w.pace(ctx, 0, func() error {
		if err := finish(); err != nil || w.rng.IntN(8) > 0 {
			return errors.Join(err, w.write())
		}
		line, s := w.next()
		half := len(line) / 2
		rest = append(rest[:0], line[half:]...)
		return w.c.WritePart(s, line[:half], time.Now())
	})
	return errors.Join(err, finish())
}

// bulky writes lines of 20 to 60 KiB, which the runtime cuts in parts.
func bulky(ctx context.Context, w *writer) error {
	if err := w.begin(w.program.pod); err != nil {
		return err
	}
	_, err := w.pace(ctx, 0, func() error {
		length := 20<<10 + w.rng.IntN(40<<10)
		b := append(w.line[:0], `{"level":"info","seq":`...)
		b = strconv.AppendInt(b, w.own(), 10)
		b = append(b, `,"msg":"batch imported","skus":["`...)
		for len(b) < length {
			b = append(b, "SKU-"...)
			b = strconv.AppendInt(b, int64(100_000+w.rng.IntN(900_000)), 10)
			b = append(b, `","`...)
		}
		w.line = append(b, `end"]}`...)
		return w.c.Write(simulate.Stdout, w.line, time.Now())
	})
	return err
}

// comesAndGoes is a pod every 15 s: it works for 9, its files stay for 2 more, and 4 s later the next one begins.
func comesAndGoes(ctx context.Context, w *writer) error {
	for n := 1; ; n++ {
		if err := w.begin(fmt.Sprintf(w.program.pod, n%1000, suffix(w))); err != nil {
			return err
		}
		if on, err := w.pace(ctx, 9*time.Second, w.write); !on || err != nil {
			return err
		}
		if err := w.c.Exit(); err != nil {
			return err
		}
		if !wait(ctx, 2*time.Second) {
			return nil
		}
		if err := w.c.Delete(); err != nil {
			return err
		}
		if !wait(ctx, 4*time.Second) {
			return nil
		}
	}
}

// suffix is what Kubernetes adds to a pod's name.
func suffix(w *writer) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, 5)
	for i := range b {
		b[i] = letters[w.rng.IntN(len(letters))]
	}
	return string(b)
}

// crashes works for 6 s, dies with a panic whose last line has no end, and is started again after 2 s.
func crashes(ctx context.Context, w *writer) error {
	if err := w.begin(w.program.pod); err != nil {
		return err
	}
	for {
		if on, err := w.pace(ctx, 6*time.Second, w.write); !on || err != nil {
			return err
		}
		for i, line := range []string{
			"panic: runtime error: index out of range [7] with length 7", "",
			"goroutine 41 [running]:", "main.(*queue).take(...)", "\t/src/mailer/queue.go:118", "exit status",
		} {
			b := simulate.AppendSeq(append(w.line[:0], line...), w.own())
			w.line = b
			var err error
			if last := i == 5; last {
				err = w.c.WritePart(simulate.Stderr, b, time.Now())
			} else {
				err = w.c.Write(simulate.Stderr, b, time.Now())
			}
			if err != nil {
				return err
			}
		}
		if err := w.c.Exit(); err != nil {
			return err
		}
		// Whether the demo goes on or ends: the restart tells readers that the last line will have no end.
		on := wait(ctx, 2*time.Second)
		if err := w.c.Restart(); !on || err != nil {
			return err
		}
	}
}
