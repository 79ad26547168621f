{{/* What every object is called and labelled by. */}}
{{- define "binder.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "binder.labels" -}}
app.kubernetes.io/name: binder
app.kubernetes.io/part-of: {{ include "binder.name" . }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* dict "root" $ "service" "build" */}}
{{- define "binder.selector" -}}
app.kubernetes.io/part-of: {{ include "binder.name" .root }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "binder.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}
{{- end -}}

{{/* What the deploy service does on the cluster is decided by these settings; its rights follow from them. */}}
{{- define "binder.cluster" -}}
{{- $settings := dict -}}
{{- range $name, $value := .Values.deploy.settings.kubernetes | default dict -}}
{{- $_ := set $settings ($name | replace "_" "-") $value -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{- define "binder.ports" -}}
registry: 8083
build: 8082
deploy: 8084
health: 8086
{{- end -}}

{{/* The first parts of the paths that each service answers through the front door. */}}
{{- define "binder.paths" -}}
registry: [/templates]
build: [/builds, /plans, /credentials]
deploy: [/applications, /preload, /capacity, /user]
health: [/health]
{{- end -}}

{{/* A value as TOML writes it: JSON does, but for tables. */}}
{{- define "binder.value" -}}
{{- if kindIs "map" . -}}
{ {{- $comma := "" }}{{ range $name, $value := . }}{{ $comma }} {{ $name | quote }} = {{ include "binder.value" $value }}{{ $comma = "," }}{{ end }} }
{{- else if kindIs "slice" . -}}
[{{- $comma := "" }}{{ range . }}{{ $comma }}{{ include "binder.value" . }}{{ $comma = ", " }}{{ end }}]
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end -}}

{{- define "binder.table" -}}
{{- range $name, $value := . }}
{{ $name }} = {{ include "binder.value" $value }}
{{- end }}
{{- end -}}

{{/* Whether the build service makes its builders itself, as pods. */}}
{{- define "binder.builder.pods" -}}
{{- gt (int (index .Values.build.settings "builder-pods" | default 0)) 0 -}}
{{- end -}}

{{- define "binder.middlewares" -}}
{{- and (eq .Values.frontDoor.controller "traefik") .Values.frontDoor.middlewares -}}
{{- end -}}

{{/* A route of the Gateway API finds them beside itself alone. */}}
{{- define "binder.middlewares.namespace" -}}
{{- if index (include "binder.cluster" . | fromJson) "gateway" }}{{ .Values.deploy.namespace }}{{ else }}{{ .Release.Namespace }}{{ end -}}
{{- end -}}

{{/* Every replica of the deploy service must know the same applications as its own. */}}
{{- define "binder.settings.deploy" -}}
{{- $name := include "binder.name" . -}}
{{- $self := printf "%s/app.kubernetes.io/component=deploy" .Release.Namespace -}}
{{- $cluster := dict "namespace" .Values.deploy.namespace "ingress-controller" .Values.frontDoor.controller "reached-from" (list .Values.frontDoor.namespace $self) "guard-url" (printf "http://%s-deploy.%s.svc:8084" $name .Release.Namespace) -}}
{{- with .Values.ingress.className }}{{ $_ := set $cluster "ingress-class" . }}{{ end -}}
{{- with .Values.ingress.host }}{{ $_ := set $cluster "ingress-host" . }}{{ end -}}
{{- with .Values.frontDoor.url }}{{ $_ := set $cluster "ingress-url" . }}{{ end -}}
{{- if eq (include "binder.middlewares" .) "true" }}{{ $_ := set $cluster "middlewares-namespace" (include "binder.middlewares.namespace" .) }}{{ end -}}
{{- $own := dict "backend" "kubernetes" "instance" (printf "%s.%s" .Release.Namespace $name) "kubernetes" $cluster -}}
{{- with .Values.frontDoor.metricsUrl }}{{ $_ := set $own "front-door-metrics-url" . }}{{ end -}}
{{- toJson (mergeOverwrite $own (deepCopy .Values.deploy.settings)) -}}
{{- end -}}

{{/* The build check's repository is served by the health service, where builds may otherwise not read. */}}
{{- define "binder.settings.build" -}}
{{- $given := deepCopy .Values.build.settings -}}
{{- $hosts := concat (list (printf "%s-health:8086" (include "binder.name" .))) (index $given "allow-hosts" | default list) -}}
{{- $own := dict "credentials-key" "/etc/binder/keys/credentials-key" -}}
{{- toJson (set (mergeOverwrite $own $given) "allow-hosts" $hosts) -}}
{{- end -}}

{{- define "binder.settings.registry" -}}{{ toJson .Values.registry.settings }}{{- end -}}
{{- define "binder.settings.health" -}}{{ toJson .Values.health.settings }}{{- end -}}

{{- define "binder.config" -}}
host = "0.0.0.0"
public-url = {{ .Values.publicUrl | toJson }}
{{- range $service, $port := include "binder.ports" . | fromYaml }}
{{ $service }}-url = "http://{{ include "binder.name" $ }}-{{ $service }}:{{ $port }}"
{{- end }}
{{- include "binder.table" .Values.settings }}
{{- range $service := list "registry" "build" "deploy" "health" }}

[{{ $service }}]
{{- include "binder.table" (include (printf "binder.settings.%s" $service) $ | fromJson) }}
{{- end }}
{{ end -}}

{{/* dict "root" $ "service" "build": the whole Deployment of a service. */}}
{{- define "binder.deployment" -}}
{{- $root := .root -}}
{{- $values := index .root.Values .service -}}
{{- $name := printf "%s-%s" (include "binder.name" .root) .service -}}
{{- $port := index (include "binder.ports" .root | fromYaml) .service -}}
{{- $file := eq .root.Values.database "sqlite" -}}
{{- if and $file (gt (int $values.replicas) 1) -}}
{{- fail (printf "%s.replicas: several replicas need a database that they share; set database: server" .service) -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "binder.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .service }}
spec:
  replicas: {{ $values.replicas }}
  revisionHistoryLimit: 3
  strategy:
    {{- if $file }}
    type: Recreate  # two at once on one file would take each other's work away
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels:
      {{- include "binder.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "binder.selector" . | nindent 8 }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include "binder.config" .root | sha256sum }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: {{ or (eq .service "deploy") (and (eq .service "build") (eq (include "binder.builder.pods" .root) "true")) }}
      enableServiceLinks: false  # they would set variables that look like settings
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: {type: RuntimeDefault}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with .root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "binder.selector" . | nindent 14 }}
      containers:
        - name: {{ .service }}
          image: {{ include "binder.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [tini, --, python, -P, -m, {{ if eq .service "health" }}binder_control.health{{ else }}binder_{{ .service }}{{ end }}]
          env:
            - {name: HOME, value: /var/lib/binder}
            - {name: BINDER_HOME, value: /var/lib/binder}
            - {name: BINDER_CONFIG, value: /etc/binder/binder.toml}
            - name: BINDER_API_KEY
              valueFrom: {secretKeyRef: {name: {{ .root.Values.secret }}, key: api-key}}
            {{- if not $file }}
            - name: BINDER_DATABASE_URL
              valueFrom: {secretKeyRef: {name: {{ .root.Values.secret }}, key: database-url}}
            {{- end }}
            {{- if and (eq .service "build") .root.Values.build.registryLogin }}
            - {name: DOCKER_CONFIG, value: /etc/binder/login}
            {{- end }}
          ports:
            - {name: http, containerPort: {{ $port }}}
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 1
            failureThreshold: 300  # the first start of a new version brings the database up to date
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 12
          lifecycle:
            preStop:
              exec: {command: [sleep, "3"]}  # until no new request is sent here any more
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /etc/binder/binder.toml, subPath: binder.toml, readOnly: true}
            - {name: home, mountPath: /var/lib/binder}
            - {name: tmp, mountPath: /tmp}
            {{- if eq .service "build" }}
            - {name: keys, mountPath: /etc/binder/keys, readOnly: true}
            {{- if .root.Values.build.registryLogin }}
            - {name: login, mountPath: /etc/binder/login, readOnly: true}
            {{- end }}
            {{- end }}
      volumes:
        - name: config
          configMap: {name: {{ include "binder.name" .root }}-config}
        - name: tmp
          emptyDir: {sizeLimit: 1Gi}
        - name: home
          {{- if and $file (eq .root.Values.storage.kind "persistentVolumeClaim") }}
          persistentVolumeClaim: {claimName: {{ $name }}}
          {{- else if and $file (eq .root.Values.storage.kind "hostPath") }}
          hostPath: {path: {{ printf "%s/%s" (required "storage.hostPath: name a directory of the node" .root.Values.storage.hostPath) .service }}, type: Directory}
          {{- else }}
          emptyDir: {sizeLimit: {{ if eq .service "build" }}{{ .root.Values.build.work.size }}{{ else }}1Gi{{ end }}}
          {{- end }}
        {{- if eq .service "build" }}
        - name: keys
          secret:
            secretName: {{ .root.Values.secret }}
            defaultMode: 0400
            items: [{key: credentials-key, path: credentials-key}]
        {{- if .root.Values.build.registryLogin }}
        - name: login
          secret:
            secretName: {{ .root.Values.build.registryLogin }}
            defaultMode: 0400
            items: [{key: .dockerconfigjson, path: config.json}]
        {{- end }}
        {{- end }}
{{- end -}}
