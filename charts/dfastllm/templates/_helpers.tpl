{{- define "dfastllm.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 54 | trimSuffix "-" }}
{{- end }}

{{/* Release and chart name, or one of them if it says it all; leaves room for `-operator`. */}}
{{- define "dfastllm.fullname" -}}
{{- $name := include "dfastllm.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "dfastllm.operator" -}}
{{- printf "%s-operator" (include "dfastllm.fullname" .) }}
{{- end }}

{{- define "dfastllm.selectorLabels" -}}
app.kubernetes.io/name: dfastllm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What says which release an object belongs to. */}}
{{- define "dfastllm.releaseLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dfastllm.labels" -}}
app.kubernetes.io/name: dfastllm-operator
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: dfastllm
{{ include "dfastllm.releaseLabels" . }}
{{- end }}

{{- define "dfastllm.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dfastllm.operator" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Takes (list IMAGE DEFAULT-TAG). */}}
{{- define "dfastllm.image" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) }}
{{- end }}
{{- end }}

{{- define "dfastllm.serverImage" -}}
{{- include "dfastllm.image" (list .Values.server.image .Chart.AppVersion) }}
{{- end }}

{{/* What binds a role to the operator. */}}
{{- define "dfastllm.subjects" -}}
- kind: ServiceAccount
  name: {{ include "dfastllm.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The operator's settings; what is left at the operator's own default is not set. */}}
{{- define "dfastllm.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: DFASTLLM_OPERATOR_SERVER_IMAGE
  value: {{ include "dfastllm.serverImage" . }}
{{- $name := include "dfastllm.operator" . }}
{{- if ne $name "dfastllm-operator" }}
- name: DFASTLLM_OPERATOR_LEASE_NAME
  value: {{ $name }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: DFASTLLM_OPERATOR_NAMESPACES
  value: {{ join "," . }}
{{- end }}
{{- with .Values.gateway }}
- name: DFASTLLM_OPERATOR_GATEWAY
  value: {{ . }}
{{- end }}
{{- if ne .Values.domain "example.com" }}
- name: DFASTLLM_OPERATOR_DOMAIN
  value: {{ .Values.domain }}
{{- end }}
{{- if ne .Values.urlScheme "http" }}
- name: DFASTLLM_OPERATOR_URL_SCHEME
  value: {{ .Values.urlScheme }}
{{- end }}
{{- if ne .Values.clusterDomain "cluster.local" }}
- name: DFASTLLM_OPERATOR_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain }}
{{- end }}
{{- if ne .Values.logLevel "info" }}
- name: DFASTLLM_OPERATOR_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
