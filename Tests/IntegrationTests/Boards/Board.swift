import Foundation

/// A dashboard of Dashboards/grafana/dashboards, as far as the tests look at it.
/// Source: https://grafana.com/docs/grafana/v11.5/dashboards/build-dashboards/view-dashboard-json-model/
struct Board: Decodable {
  struct Source: Decodable, Hashable {
    var type: String
    var uid: String
  }

  struct Target: Decodable {
    var refId: String
    var datasource: Source
    var expr: String?
    var legendFormat: String?
    var rawSql: String?
    var format: String?

    var text: String { expr ?? rawSql ?? "" }
  }

  struct Panel: Decodable {
    struct Place: Decodable { var x, y, w, h: Int }
    struct FieldConfig: Decodable {
      struct Defaults: Decodable { var unit: String }
      var defaults: Defaults
    }
    var id: Int
    var type: String
    var title: String
    var description: String?
    var gridPos: Place
    var datasource: Source?
    var targets: [Target]?
    var fieldConfig: FieldConfig?
  }

  struct Variable: Decodable {
    var name: String
    var datasource: Source
    var definition: String
    var multi: Bool
  }

  struct Templating: Decodable { var list: [Variable] }
  struct Link: Decodable {
    var type: String
    var tags: [String]
  }

  var uid: String
  var title: String
  var description: String
  var tags: [String]
  var editable: Bool
  var schemaVersion: Int
  var panels: [Panel]
  var templating: Templating
  var links: [Link]

  /// All but the rows' heads.
  var shown: [Panel] { panels.filter { $0.type != "row" } }

  /// `overview` of `smartcontent-overview`.
  var name: String { String(uid.dropFirst("smartcontent-".count)) }

  static let folder = "\(SDKPython.root)/Dashboards"

  /// Every one, by name.
  static func all() throws -> [Board] {
    let dashboards = "\(folder)/grafana/dashboards"
    return try FileManager.default.contentsOfDirectory(atPath: dashboards)
      .filter { $0.hasSuffix(".json") }.sorted().map { file in
        try JSONDecoder().decode(
          Board.self, from: Data(contentsOf: URL(filePath: "\(dashboards)/\(file)")))
      }
  }
}
