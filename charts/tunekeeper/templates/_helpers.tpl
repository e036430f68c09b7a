{{/* Beginning of every name: the release's, or both where the release is not called as the chart. */}}
{{- define "tunekeeper.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $both .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tunekeeper.controller" -}}
{{ include "tunekeeper.fullname" . }}-controller
{{- end -}}

{{- define "tunekeeper.serviceAccountName" -}}
{{- $made := ternary (include "tunekeeper.controller" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- define "tunekeeper.labels" -}}
{{ include "tunekeeper.selected" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What never changes of a release: Deployments may not change their selector. */}}
{{- define "tunekeeper.selected" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tunekeeper.selector" -}}
{{ include "tunekeeper.selected" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* An image of the values, by digest or by tag: (list . .Values.image). */}}
{{- define "tunekeeper.image" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $root.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tunekeeper.leaseName" -}}
{{ default (include "tunekeeper.fullname" .) .Values.settings.leaseName }}
{{- end -}}

{{- define "tunekeeper.metricsPort" -}}
{{ splitList ":" .Values.settings.metricsAddress | last }}
{{- end -}}

{{/* A setting as the controller reads it: retryBaseSeconds is TUNEKEEPER_RETRY_BASE_S. */}}
{{- define "tunekeeper.variable" -}}
TUNEKEEPER_{{ regexReplaceAll "_seconds$" (snakecase .) "_s" | upper }}
{{- end -}}

{{/* Helm holds every number as a float, and writes a large one as 1e+06. */}}
{{- define "tunekeeper.number" -}}
{{- if and (kindIs "float64" .) (eq . (float64 (int64 .))) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* The controller's rights, in every namespace or in one: those of manifests/rbac. */}}
{{- define "tunekeeper.rules" -}}
- apiGroups: [tunekeeper.dev]
  resources: [finetunejobs, basemodels]
  verbs: [get, list, watch]
- apiGroups: [tunekeeper.dev]
  resources: [finetunejobs/status, basemodels/status]
  verbs: [update]
- apiGroups: [tunekeeper.dev]
  resources: [finetunejobs/finalizers, basemodels/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [get, list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "tunekeeper.subject" -}}
- kind: ServiceAccount
  name: {{ include "tunekeeper.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Egress rules of the values: a list of cidr, except, ports. */}}
{{- define "tunekeeper.egress" -}}
{{- range . }}
- to:
    - ipBlock:
        cidr: {{ .cidr | quote }}
        {{- with .except }}
        except: {{ toJson . }}
        {{- end }}
  {{- with .ports }}
  ports:
    {{- range . }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "tunekeeper.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  {{- with .Values.networkPolicy.dns }}
  to: {{ toJson . }}
  {{- end }}
{{- end -}}
