package main

import (
	"fmt"
	"path"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods need addresses, or no Service would ever get endpoints.
var addresses atomic.Uint32

// advance writes the status a kubelet would report next and says whether there was one.
func advance(status *corev1.PodStatus, spec *corev1.PodSpec, job bool) bool {
	now := metav1.Now()
	switch {
	case status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed:
		return false
	case job && status.Phase == corev1.PodRunning && ready(status.ContainerStatuses):
		status.Phase = corev1.PodSucceeded
		for i := range status.ContainerStatuses {
			container := &status.ContainerStatuses[i]
			container.Ready = false
			container.State = completed(now)
			if strings.HasPrefix(path.Base(container.Image), "failing") {
				status.Phase = corev1.PodFailed
				container.State = failed(now)
			}
		}
		setConditions(status, now, "PodCompleted")
		return true
	case reported(status.ContainerStatuses, spec.Containers) && reported(status.InitContainerStatuses, spec.InitContainers):
		return false
	}
	status.InitContainerStatuses = nil
	blocked := false
	for _, container := range spec.InitContainers {
		sidecar := container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
		state := report(container, now, blocked)
		if state.Ready && !sidecar {
			state.State = completed(now)
		}
		blocked = blocked || !state.Ready
		status.InitContainerStatuses = append(status.InitContainerStatuses, state)
	}
	status.ContainerStatuses = nil
	for _, container := range spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, report(container, now, blocked))
	}
	if status.PodIP == "" {
		n := addresses.Add(1)
		status.PodIP = fmt.Sprintf("10.244.%d.%d", n>>8&255, n&255)
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
		status.StartTime = &now
	}
	if ready(status.ContainerStatuses) {
		status.Phase = corev1.PodRunning
	}
	setConditions(status, now, "ContainersNotReady")
	return true
}

// report is a running container, or a waiting one with the reason a kubelet would give.
func report(container corev1.Container, now metav1.Time, blocked bool) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: container.Name, Image: container.Image}
	switch {
	case blocked:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	case strings.HasPrefix(path.Base(container.Image), "crashing"):
		status.RestartCount = 5
		status.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off 2m40s restarting failed container=%s", container.Name),
		}
		status.LastTerminationState = failed(now)
	case strings.HasPrefix(path.Base(container.Image), "broken"):
		status.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "ImagePullBackOff",
			Message: fmt.Sprintf("Back-off pulling image %q", container.Image),
		}
	default:
		started := true
		status.Ready, status.Started, status.ImageID = true, &started, container.Image
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
	}
	return status
}

// reported is false for a new pod, and for one whose image was changed in place.
func reported(statuses []corev1.ContainerStatus, containers []corev1.Container) bool {
	if len(statuses) != len(containers) {
		return false
	}
	for i := range containers {
		if statuses[i].Image != containers[i].Image {
			return false
		}
	}
	return true
}

func ready(statuses []corev1.ContainerStatus) bool {
	for _, status := range statuses {
		if !status.Ready {
			return false
		}
	}
	return true
}

func completed(now metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
}

func failed(now metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: now, FinishedAt: now}}
}

// unschedulable writes what a scheduler says of a pod that fits on no node, and says whether that is new.
func unschedulable(status *corev1.PodStatus) bool {
	for _, condition := range status.Conditions {
		if condition.Type == corev1.PodScheduled {
			return false
		}
	}
	set(status, corev1.PodCondition{
		Type:               corev1.PodScheduled,
		Status:             corev1.ConditionFalse,
		Reason:             corev1.PodReasonUnschedulable,
		Message:            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
		LastTransitionTime: metav1.Now(),
	})
	return true
}

// setConditions derives the pod's conditions from its containers; reason says why they are not ready.
func setConditions(status *corev1.PodStatus, now metav1.Time, reason string) {
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	if !ready(status.InitContainerStatuses) {
		initialized.Status, initialized.Reason = corev1.ConditionFalse, "ContainersNotInitialized"
	}
	condition := corev1.PodCondition{Status: corev1.ConditionTrue}
	if !ready(status.ContainerStatuses) {
		condition = corev1.PodCondition{Status: corev1.ConditionFalse, Reason: reason}
	}
	podReady, containersReady := condition, condition
	podReady.Type, containersReady.Type = corev1.PodReady, corev1.ContainersReady

	for _, condition := range []corev1.PodCondition{initialized, podReady, containersReady} {
		condition.LastTransitionTime = now
		set(status, condition)
	}
}

func set(status *corev1.PodStatus, condition corev1.PodCondition) {
	for i, old := range status.Conditions {
		if old.Type == condition.Type {
			status.Conditions[i] = condition
			return
		}
	}
	status.Conditions = append(status.Conditions, condition)
}
