{{/* Names and labels. */}}
{{- define "leat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "leat.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "leat.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "leat.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "leat.selectorLabels" -}}
app.kubernetes.io/name: {{ include "leat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "leat.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "leat.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leat.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "leat.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Cluster-wide objects carry the namespace in their names, so that two releases can have them. */}}
{{- define "leat.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "leat.fullname" .) }}
{{- end }}

{{- define "leat.image" -}}
{{- $i := .Values.image }}
{{- $registry := default $i.registry (default dict .Values.global).imageRegistry }}
{{- $name := ternary (printf "%s/%s" $registry $i.repository) $i.repository (not (empty $registry)) }}
{{- if $i.digest }}{{ $name }}@{{ $i.digest }}{{ else }}{{ $name }}:{{ default .Chart.AppVersion $i.tag }}{{ end }}
{{- end }}

{{- define "leat.pullSecrets" -}}
{{- with concat .Values.imagePullSecrets (default list (default dict .Values.global).imagePullSecrets) }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* leat.yaml. Without sinks the key is left out, for leatd's default is a sink on the node, and an empty list is none. */}}
{{- define "leat.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $sinks := dict }}
{{- range $name, $sink := default dict $config.sinks }}
{{- if $sink }}{{ $_ := set $sinks $name $sink }}{{ end }}
{{- end }}
{{- $_ := set $config "sinks" $sinks }}
{{- range list "labels" "sinks" }}
{{- if empty (get $config .) }}{{ $_ := unset $config . }}{{ end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "leat.tls" -}}
{{- if get .Values.webConfig "tls_server_config" }}true{{ end }}
{{- end }}

{{- define "leat.probe" -}}
httpGet:
  path: {{ .path }}
  port: metrics
  {{- if include "leat.tls" .root }}
  scheme: HTTPS
  {{- end }}
{{- with .times }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leat.podSecurityContext" -}}
{{- $c := dict "runAsUser" 0 "runAsGroup" 0 "runAsNonRoot" false "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- if .Values.nonroot.enabled }}
{{- $c = merge (dict "runAsUser" 65534 "runAsNonRoot" true) $c }}
{{- end }}
{{- if .Values.openshift.enabled }}
{{- $_ := set $c "seLinuxOptions" (dict "type" "spc_t") }}
{{- end }}
{{- toYaml (mergeOverwrite $c (deepCopy .Values.podSecurityContext)) }}
{{- end }}

{{- define "leat.securityContext" -}}
{{- $caps := dict "drop" (list "ALL") }}
{{- if .Values.readAllFiles }}
{{- if .Values.nonroot.enabled }}
{{- fail "\nreadAllFiles and nonroot.enabled exclude each other: a container's capabilities are of no use to a user other than root. Turn one of them off." }}
{{- end }}
{{- $_ := set $caps "add" (list "DAC_READ_SEARCH") }}
{{- end }}
{{- $c := dict "privileged" false "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" $caps }}
{{- toYaml (mergeOverwrite $c (deepCopy .Values.securityContext)) }}
{{- end }}

{{/* What a configuration may refer to, apart from the file itself: the same for leatd and for both checks. */}}
{{- define "leat.env" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leat.secretVolumes" -}}
{{- range .Values.secretMounts }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .secretName }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "leat.secretMounts" -}}
{{- range .Values.secretMounts }}
- {name: secret-{{ .name }}, mountPath: /secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
