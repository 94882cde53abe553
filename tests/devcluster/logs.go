package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// serveLogs listens where the API server asks a kubelet what containers wrote, and returns the port.
func serveLogs(ctx context.Context, client kubernetes.Interface) int32 {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		pod, err := client.CoreV1().Pods(r.PathValue("namespace")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		lines, err := written(r.Context(), client, pod, r.PathValue("container"), r.URL.Query().Get("previous") == "true")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(asked(lines, r.URL.Query())))
	})
	server := httptest.NewTLSServer(mux)
	context.AfterFunc(ctx, server.Close)
	return int32(server.Listener.Addr().(*net.TCPAddr).Port)
}

// written is a line for each argument of the container, in which its environment stands for $(NAME).
func written(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, name string, previous bool) ([]string, error) {
	status := statusOf(pod, name)
	ended := status != nil && status.LastTerminationState.Terminated != nil
	switch {
	case previous && !ended:
		return nil, fmt.Errorf("previous terminated container %q in pod %q not found", name, pod.Name)
	case status == nil || status.State.Waiting != nil && !ended:
		return nil, fmt.Errorf("container %q in pod %q is waiting to start", name, pod.Name)
	}
	for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if container.Name != name {
			continue
		}
		var environment []string
		for _, variable := range container.Env {
			value, err := valueOf(ctx, client, pod.Namespace, variable)
			if err != nil {
				return nil, err
			}
			environment = append(environment, "$("+variable.Name+")", value)
		}
		expand := strings.NewReplacer(environment...)
		var lines []string
		for _, argument := range container.Args {
			if previous {
				argument = "previously: " + argument
			}
			lines = append(lines, strings.Split(expand.Replace(argument), "\n")...)
		}
		return lines, nil
	}
	return nil, fmt.Errorf("no container %q in pod %q", name, pod.Name)
}

func statusOf(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if status.Name == name {
			return &status
		}
	}
	return nil
}

func valueOf(ctx context.Context, client kubernetes.Interface, namespace string, variable corev1.EnvVar) (string, error) {
	if variable.ValueFrom == nil || variable.ValueFrom.SecretKeyRef == nil {
		return variable.Value, nil
	}
	from := variable.ValueFrom.SecretKeyRef
	secret, err := client.CoreV1().Secrets(namespace).Get(ctx, from.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return string(secret.Data[from.Key]), nil
}

// asked is the part of the lines that was asked for: the last ones, and of them the first bytes.
func asked(lines []string, query url.Values) string {
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	text := ""
	if len(lines) > 0 {
		text = strings.Join(lines, "\n") + "\n"
	}
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil && limit < len(text) {
		text = text[:limit]
	}
	return text
}
