// Devcluster runs real Kubernetes control planes for tests: etcd, kube-apiserver and
// kube-controller-manager are the real ones, scheduler and kubelet are played (kubelet.go).
//
// One binary is all of it. kube-apiserver and kube-controller-manager keep feature gates and
// logging in globals, so each must be a process of its own: the binary re-executes itself.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"k8s.io/klog/v2"
)

// A child dies with the thread that started it (children.go), so main keeps its thread and
// starts all children itself.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) > 1 {
		if component, ok := components[os.Args[1]]; ok {
			component(os.Args[2:])
		}
	}
	dir := flag.String("dir", "", "where everything is written; made if missing")
	count := flag.Int("clusters", 1, "how many clusters to run")
	untilStdinCloses := flag.Bool("until-stdin-closes", false, "end when standard input does, so that no caller can leave it behind")
	flag.Parse()
	if *dir == "" || *count < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: devcluster --dir DIR [--clusters N] [--until-stdin-closes]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if *untilStdinCloses {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	if err := run(ctx, *dir, *count); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}

// run starts all clusters at once, says so in one line, and holds them until ctx ends.
func run(ctx context.Context, dir string, count int) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Sockets are named relative to the working directory: an absolute path may be too long for one.
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := logTo("devcluster.log"); err != nil {
		return err
	}
	children := newChildren()
	defer children.kill()

	ready := make(chan error, count)
	kubeconfigs := make([]string, count)
	for i := range count {
		name := strconv.Itoa(i + 1)
		kubeconfigs[i] = filepath.Join(dir, name, "kubeconfig")
		go func() { ready <- startCluster(ctx, children, dir, name) }()
	}
	for missing := count; ; {
		select {
		case start := <-children.starts:
			start()
		case err := <-children.died:
			return err
		case err := <-ready:
			if err != nil {
				return err
			}
			if missing--; missing == 0 {
				if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"kubeconfigs": kubeconfigs}); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// logTo keeps the chatter of client-go off stderr, which is for errors that end devcluster.
func logTo(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(file, nil)))
	return nil
}
