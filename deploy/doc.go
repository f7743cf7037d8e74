// Package deploy holds how leatd is installed; there is no code in it but the tests.
//
//	leat.yaml     every key of the configuration with its default
//	helm/         the chart: a DaemonSet with all that belongs to it
//	kubernetes/   the chart's output for those without Helm
//	static-pod/   one manifest for the kubelet's own folder
//	systemd/      a unit for hosts without Kubernetes
//	image/        builds the container image where there is no engine, a module of its own
//	prometheus/   alerts and a scrape configuration
//	grafana/      dashboards
//
// What is said twice is held equal by the tests, and -update writes the copies anew: the chart's alerts and dashboards are
// those of prometheus/ and grafana/, the plain manifests are the chart's, the static pod's containers are the DaemonSet's.
// Whatever the chart renders is given to leatd itself: its flags and its configuration must be known to `leatd check`.
package deploy
