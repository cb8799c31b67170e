{{/*
What goes into a pod. From a chart of your own that depends on this one (workload.enabled: false):

  spec:
    securityContext: { fsGroup: 65532 }
    initContainers:
      {{- include "outrider.initContainer" .Subcharts.outrider | nindent 6 }}
    volumes:
      {{- include "outrider.volumes" .Subcharts.outrider | nindent 6 }}
*/}}

{{/* outrider.yaml: what the chart knows, and `config` over it. */}}
{{- define "outrider.config" -}}
{{- $upstream := printf "http://127.0.0.1:%d" (int .Values.model.port) -}}
{{- $tokens := list -}}
{{- range .Values.api.tokens -}}
{{- $token := dict "name" .name "scopes" .scopes -}}
{{- if .secret -}}
{{- $_ := set $token "sha256File" (printf "/etc/outrider/tokens/%s" .name) -}}
{{- else -}}
{{- $_ := set $token "sha256" .sha256 -}}
{{- end -}}
{{- $tokens = append $tokens $token -}}
{{- end -}}
{{- $listen := ternary "0.0.0.0:7072" "127.0.0.1:7072" (gt (len $tokens) 0) -}}
{{- $known := dict "upstream" $upstream "store" (dict "path" "/var/lib/outrider") "api" (dict "listen" $listen "tokens" $tokens) -}}
{{- mergeOverwrite $known (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{/* A native sidecar: started before the model server, ended after it. */}}
{{- define "outrider.initContainer" -}}
- name: outrider
  image: {{ include "outrider.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args: [run, --config, /etc/outrider/config/outrider.yaml]
  env:
    - name: POD_NAME
      valueFrom: { fieldRef: { fieldPath: metadata.name } }
    - name: POD_NAMESPACE
      valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
    - name: NODE_NAME
      valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
    - name: OTEL_RESOURCE_ATTRIBUTES
      value: k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(NODE_NAME)
    {{- with .Values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - { name: outrider, containerPort: 7070 }
    - { name: metrics, containerPort: 7071 }
    {{- if .Values.api.tokens }}
    - { name: labels, containerPort: 7072 }
    {{- end }}
  # Neither a dead model server nor a broken observer makes these fail: they have probes and alerts of their own.
  # Alive is enough to start the model server: /readyz may wait for what that says of its version.
  startupProbe:
    httpGet: { path: /livez, port: metrics }
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  readinessProbe:
    httpGet: { path: /readyz, port: metrics }
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 3
  livenessProbe:
    httpGet: { path: /livez, port: metrics }
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
    seccompProfile: { type: RuntimeDefault }
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - { name: outrider-config, mountPath: /etc/outrider/config, readOnly: true }
    - { name: outrider-store, mountPath: /var/lib/outrider }
    - { name: outrider-tmp, mountPath: /tmp }
    {{- range .Values.api.tokens }}
    {{- if .secret }}
    - { name: {{ printf "outrider-token-%s" .name }}, mountPath: {{ printf "/etc/outrider/tokens/%s" .name }}, subPath: {{ .name }}, readOnly: true }
    {{- end }}
    {{- end }}
{{- end -}}

{{/* Without the store when it is a claim of a StatefulSet's own. */}}
{{- define "outrider.volumes" -}}
- name: outrider-config
  configMap:
    name: {{ include "outrider.fullname" . }}
{{- if not .Values.store.persistent }}
- name: outrider-store
  emptyDir:
    sizeLimit: {{ .Values.store.size }}
{{- end }}
- name: outrider-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- range .Values.api.tokens }}
{{- if .secret }}
- name: {{ printf "outrider-token-%s" .name }}
  secret:
    secretName: {{ .secret.name }}
    items:
      - { key: {{ .secret.key }}, path: {{ .name }}, mode: 0440 }
{{- end }}
{{- end }}
{{- end -}}

{{/* Annotations that make a changed configuration a new pod. */}}
{{- define "outrider.podAnnotations" -}}
checksum/outrider-config: {{ include "outrider.config" . | sha256sum }}
kubectl.kubernetes.io/default-container: model
{{- end -}}
