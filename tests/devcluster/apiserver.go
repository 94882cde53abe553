package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// startAPIServer returns the address of an apiserver that is ready. A port found free may be
// taken before the apiserver binds it, so a failure to bind is answered with another port.
func startAPIServer(ctx context.Context, children *children, dir, name, etcd string, creds credentials) (string, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return "", err
		}
		child, err := children.start(dir, name, "kube-apiserver", apiServerArgs(port, etcd, creds)...)
		if err != nil {
			return "", err
		}
		server := "https://127.0.0.1:" + port
		if err = waitUntilReady(ctx, child, server, creds.token); err == nil {
			children.mustLive(child)
			return server, nil
		}
		if attempt == attempts || !portWasTaken(child) {
			return "", err
		}
	}
}

func apiServerArgs(port, etcd string, creds credentials) []string {
	return []string{
		"--etcd-servers=" + etcd,
		"--cert-dir=" + creds.certDir,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
		"--token-auth-file=" + creds.tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + creds.serviceAccountKey,
		"--service-account-signing-key-file=" + creds.serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",
	}
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no free port: %w", err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}

func portWasTaken(child *child) bool {
	log, _ := os.ReadFile(child.log)
	return bytes.Contains(log, []byte("address already in use"))
}

// waitUntilReady accepts any certificate, for it is not written yet when the wait begins; the
// cluster's own random token is what tells this apiserver from another.
func waitUntilReady(ctx context.Context, child *child, server, token string) error {
	client := &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/readyz", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-child.exited:
			return child.failure()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
