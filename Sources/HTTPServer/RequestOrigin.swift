extension HTTPRequest {
  /// Whether the request comes from a program or from a page of this server. A page of another site must not
  /// change anything by the browser of somebody who may: where no token is needed, nothing else would keep it
  /// from that.
  ///
  /// - Throws: a 403 where another page sent it.
  public func checkOrigin() throws(Problem) {
    guard let origin = header("Origin")?.lowercased() else { return }
    let host = (header("Host") ?? "").lowercased()
    guard origin == "http://\(host)" || origin == "https://\(host)" else {
      throw Problem(
        .forbidden, code: "cross_origin",
        detail: "Changes are made by pages of this server and by programs, not by other pages.")
    }
  }
}
