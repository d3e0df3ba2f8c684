{{- define "interlingua.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "interlingua.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "interlingua.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "interlingua.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{/* The configuration, if it is for the store that the chart is to run. */}}
{{- define "interlingua.config" -}}
{{- $kind := regexFind `(?m)^\s*kind\s*=\s*"(embedded|upstream)"` .Values.config | regexFind `embedded|upstream` | default "postgres" -}}
{{- if ne $kind .Values.store -}}
{{- fail (printf "`store` is %q, and [store] of `config` does not say kind = %q" .Values.store .Values.store) -}}
{{- end -}}
{{- if and (eq $kind "upstream") (not (regexMatch `(?m)^\s*ledger\s*=\s*"postgres"` .Values.config)) -}}
{{- fail "gateways with `store: upstream` are several, so [store.upstream] of `config` must say ledger = \"postgres\"" -}}
{{- end -}}
{{ .Values.config }}
{{- end -}}

{{/* Rights of a pod, and of a container: none. */}}
{{- define "interlingua.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# Secrets are root's, and this group may read them.
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "interlingua.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
