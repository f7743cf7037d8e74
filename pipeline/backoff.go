package pipeline

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 250 * time.Millisecond
	backoffMost  = 30 * time.Second
)

// Backoff is how long to wait after so many failures: exponential, and anywhere in its upper half, since thousands of
// nodes see the same outage end.
func Backoff(attempt int) time.Duration {
	d := backoffMost
	if attempt < 7 {
		d = min(d, backoffFirst<<attempt)
	}
	return d/2 + rand.N(d/2)
}

// Jitter lengthens what a store asked for by up to a fifth.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + rand.N(d/5+1)
}
