/// The write key that a request names, where its protocol has no place of its own for it:
/// `Authorization: Basic base64(key:)`, `Authorization: Bearer key`, or `k=key` in the query.
enum WriteKeyName {
  /// - Parameter field: what the query's field is called.
  static func find(_ input: IngestInput, field: StaticString = "k") -> String? {
    let authorization = input.header("authorization")
    if let name = BasicAuthorization.writeKey(authorization) ?? bearer(authorization), !name.isEmpty
    {
      return name
    }
    return inQuery(input.query, field: field)
  }

  /// The key in a query, where `k` is another name of every protocol's field.
  static func inQuery(_ query: UnsafeRawBufferPointer, field: StaticString) -> String? {
    QueryField.text(field, in: query) ?? QueryField.text("k", in: query)
  }

  /// RFC 6750 section 2.1.
  static func bearer(_ field: String?) -> String? {
    guard let field, field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else {
      return nil
    }
    return String(field.dropFirst(7))
  }
}
