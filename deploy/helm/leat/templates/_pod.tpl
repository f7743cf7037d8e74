{{/* What leatd and its check have in common in the pods of the DaemonSet. */}}
{{- define "leat.args" -}}
- --config.file=/etc/leat/leat.yaml
- --web.listen-address=:{{ .Values.port }}
{{- if .Values.webConfig }}
- --web.config.file=/etc/leat-web/web.yaml
{{- end }}
- --path.rootfs=/host
{{- if .Values.host.root }}
- --path.procfs=/host/proc
- --path.sysfs=/host/sys
- --path.udev.data=/host/run/udev/data
{{- end }}
- --log.level={{ .Values.log.level }}
- --log.format={{ .Values.log.format }}
- --shutdown.timeout={{ max 1 (sub .Values.terminationGracePeriodSeconds 5) }}s
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leat.container" -}}
env:
  {{- include "leat.env" . | nindent 2 }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "leat.securityContext" . | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/leat, readOnly: true}
  {{- if .Values.webConfig }}
  - {name: web, mountPath: /etc/leat-web, readOnly: true}
  {{- end }}
  - {name: state, mountPath: /var/lib/leat}
  {{- if .Values.host.root }}
  {{- if .Values.host.recursiveReadOnly }}
  - {name: root, mountPath: /host, readOnly: true, recursiveReadOnly: Enabled}
  {{- else }}
  - {name: root, mountPath: /host, readOnly: true, mountPropagation: HostToContainer}
  {{- end }}
  - {name: proc, mountPath: /host/proc, readOnly: true}
  - {name: sys, mountPath: /host/sys, readOnly: true}
  - {name: cgroup, mountPath: /host/sys/fs/cgroup, readOnly: true}
  {{- end }}
  - {name: varlog, mountPath: /host/var/log, readOnly: true}
  {{- with include "leat.secretMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "leat.volumes" -}}
- name: config
  configMap: {name: {{ default (include "leat.fullname" .) .Values.existingConfigMap }}}
{{- if .Values.webConfig }}
- name: web
  secret: {secretName: {{ include "leat.fullname" . }}-web, defaultMode: 0440}
{{- end }}
- name: state
  hostPath: {path: {{ .Values.state.hostPath }}, type: DirectoryOrCreate}
{{- if .Values.host.root }}
- name: root
  hostPath: {path: /}
- name: proc
  hostPath: {path: /proc}
- name: sys
  hostPath: {path: /sys}
- name: cgroup
  hostPath: {path: /sys/fs/cgroup}
{{- end }}
- name: varlog
  hostPath: {path: /var/log}
{{- with include "leat.secretVolumes" . | trim }}
{{ . }}
{{- end }}
{{- end }}
