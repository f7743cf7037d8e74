package sinks

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestRFC3339(t *testing.T) {
	const day = 24 * 60 * 60 * second
	times := []int64{
		0, 1, -1, second - 1, second, -second, -second - 1, testTime, testTime + 94, 10 * second, 120_000_000,
		math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64 + 1, math.MinInt64 + second, math.MaxInt64 - second,
	}
	for year := 1678; year <= 2261; year++ {
		for _, at := range []time.Time{
			time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year, 2, 28, 23, 59, 59, 999999999, time.UTC),
			time.Date(year, 2, 29, 0, 0, 0, 1e8, time.UTC), time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC),
			time.Date(year, 12, 31, 23, 59, 59, 1, time.UTC),
		} {
			times = append(times, at.UnixNano())
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		times = append(times, int64(r.Uint64()))
	}
	for i := range int64(5000) { // lines of one second and the next
		times = append(times, testTime+i*1_000_100, testTime+i*1_000_100-2*second)
	}
	for i := int64(-150000); i < 100000; i += 7 { // a day a time, over seven centuries
		if at := i * day / 2; at/(day/2) == i {
			times = append(times, at)
		}
	}
	var c rfc3339
	var buf []byte
	for _, at := range times {
		buf = c.append(buf[:0], at)
		if want := time.Unix(0, at).UTC().Format(time.RFC3339Nano); string(buf) != want {
			t.Fatalf("%d: have %s, want %s", at, buf, want)
		}
		if len(buf) > rfc3339Len {
			t.Fatalf("%s is longer than %d", buf, rfc3339Len)
		}
	}
}

// The whole range of the calendar, which nanoseconds in 64 bits do not reach.
func TestCivil(t *testing.T) {
	for at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 10000; at = at.AddDate(0, 0, 1) {
		year, month, day := civil(at.Unix() / (24 * 60 * 60))
		if year != int64(at.Year()) || month != int64(at.Month()) || day != int64(at.Day()) {
			t.Fatalf("have %d-%d-%d, want %s", year, month, day, at)
		}
	}
}

func TestSplit(t *testing.T) {
	times := []int64{0, -1, math.MinInt64, math.MaxInt64, 0, math.MinInt64, math.MinInt64 + 145_224_192, testTime, testTime + second, -second}
	var c splitter
	for _, at := range times {
		sec, nanos := c.split(at)
		if want := time.Unix(0, at); sec != want.Unix() || int(nanos) != want.Nanosecond() {
			t.Errorf("%d: have %d s %d ns, want %d s %d ns", at, sec, nanos, want.Unix(), want.Nanosecond())
		}
	}
}

func BenchmarkRFC3339(b *testing.B) {
	var c rfc3339
	buf := make([]byte, 0, rfc3339Len)
	at := int64(testTime)
	b.ReportAllocs()
	for b.Loop() {
		at += 1_234_567
		buf = c.append(buf[:0], at)
	}
}
