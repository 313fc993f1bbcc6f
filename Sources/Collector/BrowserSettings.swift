import Events
import HTTPServer

/// What browsers' SDKs ask for before they send: small answers that are the same for everybody with a key.
///
/// | address | asked by |
/// |---|---|
/// | `GET /v1/projects/{key}/settings` | analytics.js, at its `cdnURL` |
/// | `GET /array/{key}/config`, `/array/{key}/config.js` | posthog-js |
///
/// Source: Segment's analytics-next and posthog-js, and what they read of the answers.
enum BrowserSettings {
  static func declare(on routes: inout Routes, keys: @escaping @Sendable () -> WriteKeyTable) {
    let options = RouteOptions(crossOrigin: .mirrored)
    let all: [(path: String, answer: @Sendable (String, HTTPRequest) -> HTTPResponse)] = [
      ("/v1/projects/{key}/settings", { key, request in .json(segment(key, request)) }),
      ("/array/{key}/config", { _, _ in .json(PostHogSettings.object) }),
      ("/array/{key}/config.js", { key, _ in script(key) }),
    ]
    for (path, answer) in all {
      routes.on(.get, path, options: options) { request in
        let key = request.parameters["key"] ?? ""
        guard keys().find(key) != nil else {
          throw Problem(
            .notFound, code: "unknown_write_key",
            detail: "There is no such write key; its settings are asked for by the key in the path."
          )
        }
        var response = answer(key, request)
        response.headers.append((name: "Cache-Control", value: "no-store"))
        return response
      }
    }
  }

  /// With the address to send to, which is this server as the page has named it.
  private static func segment(_ key: String, _ request: HTTPRequest) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("integrations")
    json.beginObject()
    json.key("Segment.io")
    json.beginObject()
    json.key("apiKey")
    json.string(key)
    if let host = request.header("Host"), !host.isEmpty {
      json.key("apiHost")
      json.string(host + "/v1")
      json.key("protocol")
      json.string(request.isSecure ? "https" : "http")
    }
    json.key("unbundledIntegrations")
    json.raw("[]")
    json.key("addBundledMetadata")
    json.bool(true)
    json.endObject()
    json.endObject()
    json.key("plan")
    json.raw(#"{"track":{"__default":{"enabled":true,"integrations":{}}}}"#)
    json.key("enabledMiddleware")
    json.raw("{}")
    json.key("remotePlugins")
    json.raw("[]")
    json.endObject()
    return json.bytes
  }

  private static func script(_ key: String) -> HTTPResponse {
    var name = JSONWriter()
    name.string(key)
    let text =
      "window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};window._POSTHOG_REMOTE_CONFIG["
      + String(decoding: name.bytes, as: UTF8.self) + "]={config:"
      + String(decoding: PostHogSettings.object, as: UTF8.self) + ",siteApps:[]};\n"
    return HTTPResponse(
      status: .ok,
      headers: [(name: "Content-Type", value: "application/javascript; charset=utf-8")],
      body: .bytes(Array(text.utf8)))
  }
}

/// What posthog-js is told of a project: it gathers clicks by itself only where it hears that nobody has opted out.
public enum PostHogSettings {
  /// Members of a JSON object.
  public static let members: [(name: String, json: String)] = [
    ("supportedCompression", #"["gzip","gzip-js","base64"]"#), ("hasFeatureFlags", "true"),
    ("autocapture_opt_out", "false"), ("elementsChainAsString", "true"),
    ("capturePerformance", "false"), ("captureDeadClicks", "false"),
    ("autocaptureExceptions", "false"), ("heatmaps", "false"), ("surveys", "false"),
    ("sessionRecording", "false"), ("isAuthenticated", "false"), ("toolbarParams", "{}"),
    ("siteApps", "[]"), ("defaultIdentifiedOnly", "true"),
    ("analytics", #"{"endpoint":"/i/v0/e/"}"#),
  ]

  static let object: [UInt8] = {
    var json = JSONWriter()
    json.beginObject()
    for (name, value) in members {
      json.key(name)
      json.raw(value)
    }
    json.endObject()
    return json.bytes
  }()
}
