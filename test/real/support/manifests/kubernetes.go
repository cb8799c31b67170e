package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// object is one document of a file.
type object struct {
	File       string   `json:"file"`
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Violations []string `json:"violations"` // of the restricted Pod Security Standard; empty for what has no pods
	Pods       bool     `json:"pods"`
	Object     any      `json:"object"`
}

func decoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme,
		monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(), nil
}

func podOf(decoded runtime.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	switch it := decoded.(type) {
	case *corev1.Pod:
		return &it.ObjectMeta, &it.Spec
	case *appsv1.Deployment:
		return &it.Spec.Template.ObjectMeta, &it.Spec.Template.Spec
	case *appsv1.StatefulSet:
		return &it.Spec.Template.ObjectMeta, &it.Spec.Template.Spec
	case *appsv1.DaemonSet:
		return &it.Spec.Template.ObjectMeta, &it.Spec.Template.Spec
	}
	return nil, nil
}

func judge(decoded runtime.Object, evaluator policy.Evaluator) (bool, []string) {
	violations := []string{}
	meta, spec := podOf(decoded)
	if spec == nil {
		return false, violations
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, meta, spec) {
		if !result.Allowed {
			violations = append(violations, fmt.Sprintf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return true, violations
}

func readKubernetes(files []string) (any, error) {
	decode, err := decoder()
	if err != nil {
		return nil, err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	objects := []object{}
	var wrong []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
		for number := 1; ; number++ {
			document := make([]byte, len(text)+1)
			size, err := documents.Read(document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if isEmpty(document[:size]) {
				continue
			}
			decoded, kind, err := decode.Decode(document[:size], nil, nil)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s, document %d: %w", file, number, err))
				continue
			}
			told := object{File: file, APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Object: decoded}
			if named, ok := decoded.(metav1.Object); ok {
				told.Name = named.GetName()
			}
			told.Pods, told.Violations = judge(decoded, evaluator)
			objects = append(objects, told)
		}
	}
	return objects, errors.Join(wrong...)
}

func isEmpty(document []byte) bool {
	for line := range strings.Lines(string(document)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}
