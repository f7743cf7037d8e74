package tail

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z":                      "2026-01-02T03:04:05Z",
		"2026-01-02T03:04:05.1Z":                    "2026-01-02T03:04:05.1Z",
		"2026-01-02T03:04:05.120Z":                  "2026-01-02T03:04:05.12Z",
		"2026-01-02T03:04:05.1234567Z":              "2026-01-02T03:04:05.1234567Z",
		"2026-01-02T03:04:05.12345678Z":             "2026-01-02T03:04:05.12345678Z",
		"2026-01-02T03:04:05.123456789Z":            "2026-01-02T03:04:05.123456789Z",
		"2026-01-02T03:04:05.1234567891234Z":        "2026-01-02T03:04:05.123456789Z",
		"2026-01-02T03:04:05.000000001+02:00":       "2026-01-02T01:04:05.000000001Z",
		"2026-01-02T03:04:05.5-11:30":               "2026-01-02T14:34:05.5Z",
		"2026-01-02T03:04:05-00:00":                 "2026-01-02T03:04:05Z",
		"2026-01-01T00:00:00+23:59":                 "2025-12-31T00:01:00Z",
		"2024-02-29T12:00:00Z":                      "2024-02-29T12:00:00Z",
		"2000-02-29T12:00:00Z":                      "2000-02-29T12:00:00Z",
		"1969-12-31T23:59:59.999999999Z":            "1969-12-31T23:59:59.999999999Z",
		"1970-01-01T00:00:00Z":                      "1970-01-01T00:00:00Z",
		"1677-09-21T00:12:43.145224192Z":            "1677-09-21T00:12:43.145224192Z", // the first that fits
		"1677-09-21T00:12:43.145224191Z":            "1677-09-21T00:12:43.145224192Z",
		"1677-09-21T00:12:42.999999999Z":            "1677-09-21T00:12:43.145224192Z",
		"1677-09-21T00:12:44.000000001Z":            "1677-09-21T00:12:44.000000001Z",
		"0000-01-01T00:00:00Z":                      "1677-09-21T00:12:43.145224192Z",
		"0001-01-01T00:00:00Z":                      "1677-09-21T00:12:43.145224192Z",
		"2262-04-11T23:47:16.854775807Z":            "2262-04-11T23:47:16.854775807Z", // the last that fits
		"2262-04-11T23:47:16.854775808Z":            "2262-04-11T23:47:16.854775807Z",
		"2262-04-11T23:47:15.999999999Z":            "2262-04-11T23:47:15.999999999Z",
		"2262-04-11T23:47:17Z":                      "2262-04-11T23:47:16.854775807Z",
		"9999-12-31T23:59:59.999999999-23:59":       "2262-04-11T23:47:16.854775807Z",
		"2016-12-31T23:59:60Z":                      "2017-01-01T00:00:00Z",
		"2016-12-31T23:59:60.75Z":                   "2017-01-01T00:00:00.75Z",
		"2026-01-02T03:04:05.123456789Z stdout F m": "2026-01-02T03:04:05.123456789Z",
		"2026-01-02T03:04:05Z\"}":                   "2026-01-02T03:04:05Z",
	} {
		wanted, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		length := strings.IndexAny(in+" ", " \"")
		var c clock
		for range 2 { // the second time finds the minute remembered
			if got, n := c.time([]byte(in)); got != wanted.UnixNano() || n != length {
				t.Errorf("%s: got %s, %d bytes, want %s, %d bytes", in, time.Unix(0, got).UTC().Format(time.RFC3339Nano), n, want, length)
			}
		}
	}
}

// noTimes are refused, also just after a time of the same minute.
var noTimes = []string{
	"", "2026", "2026-01-02T03:04:05", "2026-01-02T03:04:5Z", "2026-01-02T3:04:05Z0",
	"2026-01-02T03:04:05.", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05,5Z", "2026-01-02T03:04:05.123", "2026-01-02T03:04:05.123456789",
	"2026-01-02 03:04:05Z", "2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "2026/01/02T03:04:05Z", "2026-01-02T03.04:05Z", "2026-01-02T03:04.05Z",
	"2026-00-02T03:04:05Z", "2026-13-02T03:04:05Z", "2026-01-00T03:04:05Z", "2026-01-32T03:04:05Z", "2026-04-31T03:04:05Z",
	"2026-02-29T03:04:05Z", "1900-02-29T03:04:05Z", "2024-02-30T03:04:05Z",
	"2026-01-02T24:04:05Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:61Z", "2026-01-02T03:04:70Z", "2026-01-02T03:04:/9Z", "2026-01-02T03:04:0:Z",
	"2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+02:60", "2026-01-02T03:04:05+0200", "2026-01-02T03:04:05+02", "2026-01-02T03:04:05 02:00",
	"2026-01-02T03:04:05+2:000", "2026-01-02T03:04:05+30:00", "2026-01-02T03:04:05+0a:00",
	"-026-01-02T03:04:05Z", "+2026-01-02T03:04:05Z", "12026-01-02T03:04:05Z", "2o26-01-02T03:04:05Z", "2026-01-02T03:04:05.12a4Z",
	strings.Repeat("\x00", 16) + ":05Z", strings.Repeat("\xff", 16) + ":05Z",
}

func TestNoTime(t *testing.T) {
	for _, in := range noTimes {
		var c clock
		for _, before := range []string{"2026-01-02T03:04:05Z", in} {
			c.time([]byte(before))
			if got, n := c.time([]byte(in)); n != 0 || got != 0 {
				t.Errorf("%q after %q: got %d and %d bytes, want no time", in, before, got, n)
			}
			if got, n := c.time([]byte("2026-01-02T03:04:05Z")); got != 1767323045e9 || n != 20 {
				t.Errorf("after %q the clock is wrong: %d", in, got)
			}
		}
	}
}

// randomTime is any time that RFC 3339 can write, more often than not in the minute of the one before.
func randomTime(r *rand.Rand, before time.Time) string {
	at := before
	if r.IntN(3) == 0 {
		at = time.Unix(r.Int64N(253402300800+62167219200)-62167219200, 0) // the years 0 to 9999
	}
	at = at.Truncate(time.Minute).Add(time.Duration(r.Int64N(60e9)))
	for drop := r.IntN(10); drop > 0; drop-- {
		at = at.Truncate(time.Duration(math.Pow10(drop)))
	}
	zone := time.UTC
	if r.IntN(2) == 0 {
		zone = time.FixedZone("", (r.IntN(2*1440-1)-1439)*60)
	}
	if y := at.In(zone).Year(); y < 0 || y > 9999 {
		zone = time.UTC
	}
	return at.In(zone).Format([]string{time.RFC3339Nano, "2006-01-02T15:04:05.000000000Z07:00", "2006-01-02T15:04:05.000Z07:00"}[r.IntN(3)])
}

func TestTimeIsTimeParse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c clock
	at, remembered := time.Unix(0, 0), 0
	for range 200_000 {
		in := randomTime(r, at)
		wanted, err := time.Parse(time.RFC3339Nano, in)
		if err != nil {
			t.Fatalf("the test is wrong: %v", err)
		}
		last := c
		if got, n := c.time([]byte(in)); got != nanoseconds(wanted) || n != len(in) {
			t.Fatalf("%s: got %d and %d bytes, want %d", in, got, n, nanoseconds(wanted))
		}
		if c == last {
			remembered++
		}
		at = wanted
	}
	if remembered < 20_000 || remembered > 180_000 {
		t.Errorf("%d of the times were in the minute before: the test is lopsided", remembered)
	}
}

// nanoseconds is UnixNano where that is defined, and the nearest there is where it isn't.
func nanoseconds(at time.Time) int64 {
	switch {
	case at.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case at.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return at.UnixNano()
}

// rfc3339 is the grammar, which time.Parse is not strict about.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`)

// parseTime is what clock.time should find, said with regexp and time.Parse.
func parseTime(b []byte) (ns int64, n int) {
	text := string(rfc3339.Find(b))
	if text == "" {
		return 0, 0
	}
	n = len(text)
	leap := text[17:19] == "60"
	if leap {
		text = text[:17] + "59" + text[19:]
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, 0
	}
	if leap {
		at = at.Add(time.Second)
	}
	return nanoseconds(at), n
}

func FuzzTime(f *testing.F) {
	for _, in := range noTimes {
		f.Add([]byte("2026-01-02T03:04:05Z"), []byte(in))
	}
	for _, in := range []string{
		"2026-01-02T03:04:05Z", "2026-01-02T03:04:06.123456789Z", "2026-01-02T03:04:06.1+02:00", "1969-12-31T23:59:60.99-23:59",
		"0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.9999999999-23:59", "2262-04-11T23:47:16.854775808Z", "1677-09-21T00:12:43.145224191Z",
		"2024-02-29T00:00:00.12345678", "2026-01-02T03:04:05.1234567890123456789 ",
	} {
		f.Add([]byte("2026-01-02T03:04:05Z"), []byte(in))
		f.Add([]byte(in), []byte(in))
	}
	f.Fuzz(func(t *testing.T, before, in []byte) {
		var c clock
		c.time(before)
		got, n := c.time(in)
		if want, length := parseTime(in); got != want || n != length {
			t.Errorf("%q after %q: got %d and %d bytes, want %d and %d", in, before, got, n, want, length)
		}
	})
}
