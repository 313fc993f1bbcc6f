import Foundation
import LocalServers

/// nginx (Debian package `nginx-light`) with one location that answers an empty GIF.
struct EmptyGif {
  let program: ChildProgram
  let url: String

  static func start(folder: String) throws -> EmptyGif {
    var port: UInt16 = 19_080
    while !LoopbackPort.isFree(port) { port += 1 }
    let config = """
      worker_processes 2;
      daemon off;
      pid \(folder)/nginx.pid;
      error_log \(folder)/nginx-error.log;
      events { worker_connections 2048; }
      http {
        access_log off;
        keepalive_requests 1000000000;
        client_body_temp_path \(folder)/nginx-body;
        proxy_temp_path \(folder)/nginx-proxy;
        fastcgi_temp_path \(folder)/nginx-fastcgi;
        uwsgi_temp_path \(folder)/nginx-uwsgi;
        scgi_temp_path \(folder)/nginx-scgi;
        server { listen 127.0.0.1:\(port); location = /p.gif { empty_gif; } }
      }
      """
    let path = "\(folder)/nginx.conf"
    try config.write(toFile: path, atomically: true, encoding: .utf8)
    let program = try ChildProgram(
      path: "/usr/sbin/nginx", arguments: ["-c", path, "-p", folder],
      logPath: "\(folder)/nginx.log")
    return EmptyGif(program: program, url: "http://127.0.0.1:\(port)")
  }

  func stop() async {
    program.signal(SIGTERM)
    if await program.waitForEnd(timeoutMs: 3000) == nil { await program.kill() }
  }
}
