package sinks

import "math"

const second = 1_000_000_000 // in nanoseconds

// A splitter splits times into seconds and the nanoseconds within them, rounding down, so that these are never
// negative. It divides only when the second changes: lines come in the order of their times.
type splitter struct {
	sec  int64
	base int64  // sec in nanoseconds
	span uint64 // times up to here from base are of the same second; 0 before the first time
}

func (c *splitter) split(t int64) (sec int64, nanos uint64) {
	nanos = uint64(t - c.base)
	if nanos >= c.span {
		c.move(t)
		nanos = uint64(t - c.base)
	}
	return c.sec, nanos
}

func (c *splitter) move(t int64) {
	c.sec = t / second
	if t%second < 0 {
		c.sec--
	}
	c.base = c.sec * second
	// Differences wrap around at the two ends of time. The last second, in 2262, is not whole, and what follows its last
	// nanosecond is the first of all. The first second, in 1677, begins before that: its base has wrapped around, and
	// gives the right difference to t, but must not be used for another time.
	c.span = min(second, uint64(math.MaxInt64-c.base)+1)
	if c.base > t {
		c.span = 0
	}
}

// rfc3339 writes times as RFC 3339 in UTC with as many digits of the second as needed, the way container runtimes do.
// It formats the date and the time of day only when the second changes.
type rfc3339 struct {
	splitter
	valid bool
	text  [rfc3339SecondsLen]byte // "2026-01-02T03:04:05"
}

const (
	rfc3339SecondsLen = 19
	rfc3339Len        = rfc3339SecondsLen + 1 + 9 + 1 // at most
)

// append appends t, at most rfc3339Len bytes.
func (c *rfc3339) append(dst []byte, t int64) []byte {
	was := c.sec
	sec, nanos := c.split(t)
	if sec != was || !c.valid {
		c.format(sec)
	}
	dst = append(dst, c.text[:]...)
	if nanos == 0 {
		return append(dst, 'Z')
	}
	dst = append(dst, '.', '0', '0', '0', '0', '0', '0', '0', '0', '0')
	digits := dst[len(dst)-9:]
	for i := 8; nanos > 0; i-- {
		digits[i] = byte('0' + nanos%10)
		nanos /= 10
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, 'Z')
}

func (c *rfc3339) format(sec int64) {
	const day = 24 * 60 * 60
	days := sec / day
	rest := sec % day
	if rest < 0 {
		days, rest = days-1, rest+day
	}
	year, month, dayOfMonth := civil(days)
	c.text = [rfc3339SecondsLen]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':'}
	two := func(at int, v int64) { c.text[at], c.text[at+1] = byte('0'+v/10), byte('0'+v%10) }
	two(0, year/100)
	two(2, year%100)
	two(5, month)
	two(8, dayOfMonth)
	two(11, rest/3600)
	two(14, rest/60%60)
	two(17, rest%60)
	c.valid = true
}

// civil is the date that lies a number of days after 1970-01-01. Years begin in March here, so that the leap day is a
// year's last; a cycle of 400 of them has always the same number of days.
func civil(days int64) (year, month, day int64) {
	const cycleDays = 146097
	days += 719468 // from 0000-03-01
	cycle := days / cycleDays
	if days < 0 {
		cycle = (days - cycleDays + 1) / cycleDays
	}
	inCycle := days - cycle*cycleDays
	yearOfCycle := (inCycle - inCycle/1460 + inCycle/36524 - inCycle/146096) / 365
	dayOfYear := inCycle - (365*yearOfCycle + yearOfCycle/4 - yearOfCycle/100)
	fromMarch := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*fromMarch+2)/5 + 1
	year, month = cycle*400+yearOfCycle, fromMarch+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}
