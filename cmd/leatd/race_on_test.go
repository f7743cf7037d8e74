//go:build race

package main

// underRace: the tests run with the race detector, so the binary is built with it, too, and loads are smaller.
const underRace = true
