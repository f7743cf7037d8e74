package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fakeSink's bodies are lines "TARGET LINE". Its answers are the test's.
type fakeSink struct {
	mu     sync.Mutex
	answer func(ctx context.Context, body string) Answer
	start  time.Time
	limits func(key string) [2]*Stream // of a target; nil has none
	apart  bool                        // targets are described by two streams
	sent   []string                    // what was sent, one entry a request: "1.25s a:1 a:2 b:1"
}

func (s *fakeSink) NewEncoder() Encoder { return &fakeEncoder{} }

func (s *fakeSink) Describe(t *Target) (d Description) {
	if s.limits != nil {
		d.Streams = s.limits(t.Key)
	}
	if s.apart {
		d.Stdout, d.Stderr = []byte("out"), []byte("err")
	}
	return d
}

func (s *fakeSink) Send(ctx context.Context, body []byte) Answer {
	text := string(body)
	s.mu.Lock()
	s.sent = append(s.sent, fmt.Sprintf("%s %s", time.Since(s.start).Round(time.Millisecond), strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")))
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return accepted
	}
	return answer(ctx, text)
}

// set says how the store answers from now on; nil accepts.
func (s *fakeSink) set(answer func(ctx context.Context, body string) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// requests is what was sent since the last call, one request a line, with its time since the start if wanted.
func (s *fakeSink) requests(timed bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := slices.Clone(s.sent)
	s.sent = nil
	if !timed {
		for i, r := range sent {
			_, sent[i], _ = strings.Cut(r, " ")
		}
	}
	return strings.Join(sent, "\n")
}

type fakeEncoder struct{ out bytes.Buffer }

func (e *fakeEncoder) Begin() { e.out.Reset() }
func (e *fakeEncoder) Add(b *Block, s *Segment, records []Record) {
	for i := range records {
		e.out.WriteString(s.Target.Key)
		e.out.WriteByte(':')
		e.out.Write(b.Body(&records[i]))
		e.out.WriteByte('\n')
	}
}
func (e *fakeEncoder) End() []byte { return e.out.Bytes() }
func (e *fakeEncoder) Size() int   { return e.out.Len() }
