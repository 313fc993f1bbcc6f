import Foundation
import HTTPServer
import Logging

/// Serves the pages in Pages/ to browsers, each site of its own: every name below `localhost` is this machine,
/// and browsers keep their storages apart.
///
///     http://NAME.localhost:PORT/contents?data-consent=required
///
/// In a page `{{site}}` becomes the name, and `{{tracker}}` the element that loads the tracker, with the query's
/// fields as its attributes.
struct PageServer: Sendable {
  private let port: Int

  /// - Parameters:
  ///   - tracker: the origin of the collector.
  ///   - writeKey: its key for these pages.
  init(tracker: String, writeKey: String) async throws {
    let port = Int(try TestServers.freePort())
    var routes = Routes()
    routes.on(.get, "/{page}") { request in
      let name = try (request.parameters["page"]).flatMap(Self.checked).orThrow(request.path)
      let site = request.header("host")?.split(separator: ".").first.map(String.init) ?? ""
      let attributes = (request.queryFields() ?? []).map { " \($0.name)=\"\($0.value)\"" }.joined()
      let element =
        "<script async src=\"\(tracker)/t.js\" data-key=\"\(writeKey)\"\(attributes)></script>"
      let text = try TextFile.read("\(SDKPython.root)/Tests/IntegrationTests/Pages/\(name).html")
        .replacing("{{site}}", with: site).replacing("{{tracker}}", with: element)
      return HTTPResponse(
        status: .ok, headers: [(name: "Content-Type", value: "text/html; charset=utf-8")],
        body: .bytes(Array(text.utf8)))
    }
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: port, eventLoops: 1), routes: routes,
      log: Logger(label: "pages"))
    self.port = try await server.start()
  }

  private static func checked(_ name: String) -> String? {
    name.allSatisfy { $0.isLetter || $0 == "-" } ? name : nil
  }

  func url(site: String, page: String, _ attributes: String = "") -> String {
    "http://\(site).localhost:\(port)/\(page)" + (attributes.isEmpty ? "" : "?\(attributes)")
  }
}

extension String? {
  fileprivate func orThrow(_ path: String) throws -> String {
    guard let self else { throw HarnessError("there is no page \(path)") }
    return self
  }
}
