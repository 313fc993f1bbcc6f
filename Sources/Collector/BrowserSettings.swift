import Events
import HTTPServer

/// What SDKs of browsers and apps ask for before they send: small answers that are the same for everybody with a key.
///
/// | address | asked by |
/// |---|---|
/// | `GET /v1/projects/{key}/settings` | analytics.js, at its `cdnURL` |
/// | `GET /sourceConfig`, with the key by Basic authorization or as `writeKey` | RudderStack's, at their `configUrl` or `controlPlaneUrl` |
/// | `GET /array/{key}/config`, `/array/{key}/config.js` | posthog-js |
///
/// Source: Segment's analytics-next, RudderStack's SDKs for JavaScript, Android and iOS and posthog-js, and what they
/// read of the answers.
enum BrowserSettings {
  static func declare(on routes: inout Routes, keys: @escaping @Sendable () -> WriteKeyTable) {
    let options = RouteOptions(crossOrigin: .mirrored)
    for path in ["/sourceConfig", "/sourceConfig/"] {
      routes.on(.get, path, options: options) { request in
        guard let name = statedKey(request), let key = keys().find(name) else {
          throw Problem(
            .unauthorized, code: "unknown_write_key",
            detail:
              "The write key is missing or unknown; send it by Basic authorization as the user's name, or as"
              + " writeKey in the query.",
            headers: [(name: "WWW-Authenticate", value: "Basic realm=\"write key\"")])
        }
        return uncached(.json(rudder(name, key)))
      }
    }
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
        return uncached(answer(key, request))
      }
    }
  }

  private static func uncached(_ response: HTTPResponse) -> HTTPResponse {
    var response = response
    response.headers.append((name: "Cache-Control", value: "no-store"))
    return response
  }

  private static func statedKey(_ request: HTTPRequest) -> String? {
    if let name = BasicAuthorization.writeKey(request.header("authorization")), !name.isEmpty {
      return name
    }
    return request.queryFields()?.first { $0.name == "writeKey" && !$0.value.isEmpty }?.value
  }

  /// A source that is on and has no destinations: everything goes to who answers this.
  private static func rudder(_ name: String, _ key: WriteKey) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("source")
    json.beginObject()
    let texts = [
      ("id", key.id), ("name", key.source == name ? key.id : key.source), ("writeKey", name),
      ("workspaceId", key.site), ("updatedAt", "2026-01-01T00:00:00.000Z"),
    ]
    for (name, text) in texts {
      json.key(name)
      json.string(text)
    }
    json.key("enabled")
    json.bool(true)
    json.key("config")
    json.raw(#"{"statsCollection":{"errors":{"enabled":false},"metrics":{"enabled":false}}}"#)
    json.key("destinations")
    json.raw("[]")
    json.endObject()
    json.endObject()
    return json.bytes
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
