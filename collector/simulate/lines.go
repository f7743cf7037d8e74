package simulate

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// A Shape is a kind of program, by the lines that it logs.
type Shape uint8

const (
	JSON     Shape = iota // an application's structured log
	Nginx                 // access log, combined format and the request time
	Klog                  // a Kubernetes component
	Java                  // a service whose stack traces go to standard error, a line a frame
	Postgres              // checkpoints, slow statements, refused connections
	Logfmt                // a service's log in key=value pairs
	NumShapes
)

var shapeNames = [NumShapes]string{"json", "nginx", "klog", "java", "postgres", "logfmt"}

func (s Shape) String() string { return shapeNames[s] }

// Lines makes up the lines of one program. The same shape, seed and times give the same lines. It is for one goroutine.
//
// A numbered line carries its sequence number as " seq=000000123", before a space or at the end of the line, or, where
// the line is JSON, as "seq":123; Seq finds it again.
type Lines struct {
	shape Shape
	rng   *rand.Rand
	clock clock
	seq   int64 // the next line's number, negative if lines have none

	frames int // Java: frames of a stack trace still to come
	frame  int // Java: of these the next
}

// NewLines begins at the first line.
func NewLines(shape Shape, seed uint64) *Lines {
	layouts := [NumShapes]string{
		JSON: time.RFC3339, Nginx: "02/Jan/2006:15:04:05 -0700", Klog: "0102 15:04:05",
		Java: "2006-01-02 15:04:05", Postgres: "2006-01-02 15:04:05",
		Logfmt: "2006-01-02T15:04:05",
	}
	return &Lines{
		shape: shape, seq: -1, clock: clock{layout: layouts[shape]},
		rng: rand.New(rand.NewPCG(seed, uint64(shape)+1)),
	}
}

// Number makes the next line carry the number next, and each that follows the one after.
func (l *Lines) Number(next int64) *Lines {
	l.seq = next
	return l
}

// More says that the line before has not told all: the next ones belong to it and come at once.
func (l *Lines) More() bool { return l.frames > 0 }

// Append adds the next line, without a newline, and says where the program writes it.
func (l *Lines) Append(dst []byte, t time.Time) ([]byte, Stream) {
	stream := Stdout
	switch l.shape {
	case JSON:
		dst = l.json(dst, t)
	case Nginx:
		dst = l.nginx(dst, t)
	case Klog:
		dst, stream = l.klog(dst, t), Stderr
	case Java:
		dst, stream = l.java(dst, t)
	case Postgres:
		dst, stream = l.postgres(dst, t), Stderr
	default:
		dst = l.logfmt(dst, t)
	}
	if l.seq >= 0 {
		if l.shape != JSON {
			dst = AppendSeq(dst, l.seq)
		}
		l.seq++
	}
	return dst, stream
}

func (l *Lines) pick(words []string) string { return words[l.rng.IntN(len(words))] }

// number adds a number below n.
func (l *Lines) number(dst []byte, n int) []byte {
	return strconv.AppendInt(dst, int64(l.rng.IntN(n)), 10)
}

// hex adds n hexadecimal digits, 16 at most.
func (l *Lines) hex(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	for v := l.rng.Uint64(); n > 0; n-- {
		dst = append(dst, digits[v&15])
		v >>= 4
	}
	return dst
}

// A clock writes times in a layout without fractions, and keeps the text of the current second.
type clock struct {
	layout string
	second int64
	text   []byte
}

func (c *clock) append(dst []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || c.text == nil {
		c.second, c.text = s, t.UTC().AppendFormat(c.text[:0], c.layout)
	}
	return append(dst, c.text...)
}

// digits adds v with leading zeros.
func digits(dst []byte, v, width int) []byte {
	start := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start && v > 0; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
	return dst
}
