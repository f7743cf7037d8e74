//go:build !race

package sinks

const underRace = false
