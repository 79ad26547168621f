{{/* What each service reaches besides names, the other services and the database: the rules of its policy. */}}

{{/* Networks, or without any all addresses but the link-local ones, where clouds tell machines of themselves. */}}
{{- define "binder.networks" -}}
to:
{{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
{{- else }}
  - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
  - ipBlock: {cidr: "::/0", except: ["fd00:ec2::254/128", "fe80::/10"]}
{{- end }}
{{- end -}}

{{- define "binder.egress.registry" -}}{{- end -}}

{{/* Repositories, and the registry of images, are anywhere; BuildKit may be in the cluster. */}}
{{- define "binder.egress.build" -}}
- {{ include "binder.networks" list | nindent 2 | trim }}
- ports: [{port: 1234}]
  to:
    - namespaceSelector: {}
      podSelector:
        matchLabels: {app.kubernetes.io/name: buildkitd}
{{- end -}}

{{- define "binder.egress.deploy" -}}
{{- with .Values.networkPolicies.egress.apiServer -}}
- ports: [{{ range $at, $port := .ports }}{{ if $at }}, {{ end }}{port: {{ $port }}}{{ end }}]
  {{- include "binder.networks" .networks | nindent 2 }}
{{- end }}
- to:
    - namespaceSelector: {}
      podSelector:
        matchExpressions: [{key: org.binder.application, operator: Exists}]
{{ include "binder.egress.health" . }}
{{- end -}}

{{/* The front door as people come in: its pods, and what stands before them. */}}
{{- define "binder.egress.health" -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Values.frontDoor.namespace }}}
- ports: [{{ range $at, $port := include "binder.door.ports" . | fromJsonArray }}{{ if $at }}, {{ end }}{port: {{ $port }}}{{ end }}]
  {{- include "binder.networks" list | nindent 2 }}
{{- end -}}

{{- define "binder.door.ports" -}}
{{- $ports := list -}}
{{- $urls := list .Values.publicUrl .Values.frontDoor.url .Values.frontDoor.metricsUrl (index .Values.deploy.settings "front-door-url") -}}
{{- range $url := compact $urls -}}
{{- $parts := urlParse $url -}}
{{- $given := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parts.host) -}}
{{- $ports = append $ports (int ($given | default (ternary "443" "80" (eq $parts.scheme "https")))) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
