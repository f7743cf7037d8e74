package tail

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A clock reads the RFC 3339 times at the head of log lines. It remembers the minute of the last one, "2026-01-02T03:04":
// while lines stay in that minute, which is nearly always, a time costs two comparisons, the second and the fraction.
// The zero clock is ready, and remembers the first minute of 1970. A clock belongs to one reader.
type clock struct {
	// The first 16 bytes of the last time, each XOR the same bytes of 1970-01-01T00:00. That makes the zero value true
	// instead of a special case.
	date, hour uint64
	minute     int64 // seconds since the epoch where that minute begins, read as UTC
}

const (
	epochDate = '1' | '9'<<8 | '7'<<16 | '0'<<24 | '-'<<32 | '0'<<40 | '1'<<48 | '-'<<56
	epochHour = '0' | '1'<<8 | 'T'<<16 | '0'<<24 | '0'<<32 | ':'<<40 | '0'<<48 | '0'<<56

	// What int64 nanoseconds can hold, as seconds and nanoseconds: a part of one second in 1677 to a part of one in 2262.
	nano        = 1_000_000_000
	firstSecond = math.MinInt64/nano - 1
	firstNano   = math.MinInt64%nano + nano
	lastSecond  = math.MaxInt64 / nano
	lastNano    = math.MaxInt64 % nano
)

// time reads the time that b begins with: RFC 3339, section 5.6, date-time with capital T and Z, year 0000 to 9999,
// "Z" or an offset up to 23:59, a fraction of any length, of which digits beyond the nanosecond are dropped. Days are
// checked against their month, so that a date that never was is no time. n is the length of the time; 0 if b does not
// begin with one.
//
// It equals time.Parse(time.RFC3339Nano, …) but for two things. The second 60, which RFC 3339 has for leap seconds, is
// the second 0 of the next minute, as Unix time counts it. And what time.Parse takes beyond RFC 3339 (hours of one
// digit, a comma before the fraction, offsets of 24 hours) is no time.
//
// A time outside the years 1677 to 2262, which int64 nanoseconds cannot hold, becomes the earliest or the latest that
// they can.
func (c *clock) time(b []byte) (t int64, n int) {
	if len(b) < len("2006-01-02T15:04:05Z") {
		return 0, 0
	}
	date := binary.LittleEndian.Uint64(b) ^ epochDate
	hour := binary.LittleEndian.Uint64(b[8:]) ^ epochHour
	if date != c.date || hour != c.hour {
		minute, ok := parseMinute(b)
		if !ok {
			return 0, 0
		}
		c.date, c.hour, c.minute = date, hour, minute
	}
	tens, ones := b[17]-'0', b[18]-'0'
	second := int64(tens)*10 + int64(ones)
	if b[16] != ':' || tens > 6 || ones > 9 || second > 60 {
		return 0, 0
	}
	second += c.minute

	var ns int64
	n = 19
	if b[n] == '.' {
		if ns, n = fraction(b, n+1); n == 0 || n == len(b) {
			return 0, 0
		}
	}
	if b[n] == 'Z' {
		n++
	} else {
		east, ok := zone(b[n:])
		if !ok {
			return 0, 0
		}
		second -= east
		n += len("+00:00")
	}
	if second <= firstSecond || second >= lastSecond {
		return clamp(second, ns), n
	}
	return second*nano + ns, n
}

// parseMinute reads "2006-01-02T15:04", the first 16 bytes of b, as UTC. It runs once a minute of log, so it is plain.
func parseMinute(b []byte) (seconds int64, ok bool) {
	const shape = "0000-00-00T00:00"
	for i := range len(shape) {
		if d := b[i] - '0'; shape[i] == '0' && d > 9 || shape[i] != '0' && b[i] != shape[i] {
			return 0, false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute := two(11), two(14)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 {
		return 0, false
	}
	return int64(daysSinceEpoch(year, month, day))*86400 + int64(hour)*3600 + int64(minute)*60, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts days in the Gregorian calendar from 1970-01-01. A year that is taken to begin in March has its
// leap day at the end, and the days before its m-th month are then (153m+2)/5.
func daysSinceEpoch(year, month, day int) int {
	m := month - 3
	if m < 0 {
		m += 12
		year--
	}
	year += 400 // year 0 begins in March of year -1, and / rounds towards 0
	const before1970 = 719468 + 146097
	return year*365 + year/4 - year/100 + year/400 + (153*m+2)/5 + day - 1 - before1970
}

// scale turns a fraction of so many digits to nanoseconds.
var scale = [...]int64{1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10, 1}

// fraction reads the digits of a fraction of a second from b[i:]. n is where they end; 0 if there are none.
func fraction(b []byte, i int) (ns int64, n int) {
	if len(b) < i+9 {
		return shortFraction(b, i)
	}
	// Eight at once: the bytes less '0', where anything but 0 to 9 sets its high bit, if not by the subtraction then by
	// adding 0x76; what a borrow or a carry spoils lies beyond the first that is no digit.
	w := binary.LittleEndian.Uint64(b[i:])
	v := w - 0x3030303030303030
	digits := bits.TrailingZeros64((v|w|(v+0x7676767676767676))&0x8080808080808080) / 8
	if digits == 0 {
		return 0, 0
	}
	v <<= 64 - 8*uint(digits) // the missing ones become zeros in front
	v = v*10 + v>>8           // pairs, then fours, then all eight
	v = (v&0x000000ff000000ff*(100+1000000<<32) + v>>16&0x000000ff000000ff*(1+10000<<32)) >> 32
	ns = int64(v)
	n = i + digits
	if digits < 8 {
		return ns * scale[digits&7], n
	}
	if d := b[n] - '0'; d <= 9 {
		ns = ns*10 + int64(d)
		for n++; n < len(b) && b[n]-'0' <= 9; n++ {
		}
		return ns, n
	}
	return ns * 10, n
}

// shortFraction is fraction where the line ends soon after the digits.
func shortFraction(b []byte, i int) (ns int64, n int) {
	n = i
	for n < len(b) && b[n]-'0' <= 9 {
		ns = ns*10 + int64(b[n]-'0')
		n++
	}
	if n == i {
		return 0, 0
	}
	return ns * scale[n-i], n // fewer than nine digits, or fraction had read them
}

// zone reads the "+02:00" that b begins with, in seconds east of UTC.
func zone(b []byte) (seconds int64, ok bool) {
	if len(b) < len("+00:00") || b[3] != ':' {
		return 0, false
	}
	h1, h0, m1, m0 := b[1]-'0', b[2]-'0', b[4]-'0', b[5]-'0'
	if h1 > 2 || h0 > 9 || h1 == 2 && h0 > 3 || m1 > 5 || m0 > 9 {
		return 0, false
	}
	seconds = (int64(h1)*10+int64(h0))*3600 + (int64(m1)*10+int64(m0))*60
	switch b[0] {
	case '+':
		return seconds, true
	case '-':
		return -seconds, true
	}
	return 0, false
}

// clamp is the time of a second that an int64 holds in part or not at all, as near as it gets.
func clamp(second, ns int64) int64 {
	switch {
	case second == lastSecond && ns <= lastNano:
		return second*nano + ns
	case second >= lastSecond:
		return math.MaxInt64
	case second == firstSecond && ns >= firstNano:
		return (second+1)*nano + (ns - nano)
	}
	return math.MinInt64
}
