//! What stands around a body: length prefix and header.
//!
//! ```text
//! request    length | key  version  correlation  client id  [tags] | body
//! response   length | correlation  [tags]                          | body
//! ```
//!
//! The broker reads a frame into one buffer, asks [`Head::decode`] which API and version it is, and
//! decodes the body that follows as that message. Which version a header has depends on the API and
//! version of the body ([`ApiKey::request_header_version`]).

use bytes::{Buf, Bytes};

use crate::header::{RequestHeader, ResponseHeader};
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Request, Response};
use crate::{Segments, Str, Writer};

/// Bytes of the length prefix.
pub const LENGTH_BYTES: usize = 4;

/// Why the start of a frame is not a request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Nobody knows this API: the connection cannot go on.
    #[error("unknown API key: {0}")]
    UnknownKey(i16),
    /// The header cannot be read.
    #[error("request header: {0}")]
    Decode(#[from] DecodeError),
}

/// What a request's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which API is asked for.
    pub key: ApiKey,
    /// The body's version; not checked against what the API has.
    pub version: i16,
    /// Goes into the response, unchanged.
    pub correlation_id: i32,
    /// Who the client says it is; may be null or empty.
    pub client_id: Option<Str>,
}

impl Head {
    /// The API key and version at the start of a frame without its length prefix: enough to route it.
    pub fn peek(frame: &[u8]) -> Option<(i16, i16)> {
        let (key, rest) = frame.split_first_chunk::<2>()?;
        let version = rest.first_chunk::<2>()?;
        Some((i16::from_be_bytes(*key), i16::from_be_bytes(*version)))
    }

    /// Reads the header off a frame without its length prefix; the body is what `r` then holds.
    ///
    /// A version that the API lacks is read with the header of the nearest version it has, so that
    /// it can be answered (ApiVersions: KIP-511).
    pub fn decode(r: &mut Reader) -> Result<Self, HeadError> {
        let (number, version) = (r.i16()?, r.i16()?);
        let key = ApiKey::from_number(number).ok_or(HeadError::UnknownKey(number))?;
        let correlation_id = r.i32()?;
        // Kept in the fixed encoding in every header version (KIP-482).
        let client_id = r.str_opt(false)?;
        if key.request_header_version(version) >= 2 {
            r.tags(true)?;
        }
        Ok(Self { key, version, correlation_id, client_id })
    }
}

/// A whole request frame, length prefix included.
pub fn request<R: Request>(
    body: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&Str>,
) -> Result<Segments, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.number(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.cloned(),
        ..Default::default()
    };
    let mut w = Writer::new();
    w.i32(0);
    header.encode(&mut w, R::API_KEY.request_header_version(version))?;
    body.encode(&mut w, version)?;
    w.finish_frame()
}

/// A whole response frame, length prefix included.
pub fn response<R: Response>(
    body: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Segments, EncodeError> {
    let header = ResponseHeader { correlation_id, ..Default::default() };
    let mut w = Writer::new();
    w.i32(0);
    header.encode(&mut w, R::API_KEY.response_header_version(version))?;
    body.encode(&mut w, version)?;
    w.finish_frame()
}

/// Reads a response off a frame without its length prefix: its correlation id and its body.
pub fn decode_response<R: Response>(frame: Bytes, version: i16) -> Result<(i32, R), DecodeError> {
    let mut r = Reader::new(frame);
    let header = ResponseHeader::decode(&mut r, R::API_KEY.response_header_version(version))?;
    let body = R::decode(&mut r, version)?;
    r.finish()?;
    Ok((header.correlation_id, body))
}

/// The length that a frame's prefix announces, or `None` if the prefix is not there yet. Negative
/// lengths, and those above `max`, are refused before anything is allocated.
pub fn length(mut prefix: &[u8], max: usize) -> Result<Option<usize>, DecodeError> {
    if prefix.len() < LENGTH_BYTES {
        return Ok(None);
    }
    let len = prefix.get_i32();
    let found = usize::try_from(len).map_err(|_| DecodeError::InvalidLength(i64::from(len)))?;
    if found > max {
        return Err(DecodeError::TooMany { found, limit: max });
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse};

    fn unframed(segments: Segments) -> Bytes {
        let mut frame = segments.into_bytes();
        let announced = length(&frame, usize::MAX).unwrap().unwrap();
        frame.advance(LENGTH_BYTES);
        assert_eq!(frame.len(), announced);
        frame
    }

    #[test]
    fn a_request_is_read_back_with_any_client_id() {
        for version in ApiKey::Fetch.versions() {
            for client_id in [None, Some(Str::EMPTY), Some(Str::from_static("me"))] {
                let body = FetchRequest::default();
                let frame = unframed(request(&body, version, 7, client_id.as_ref()).unwrap());
                assert_eq!(Head::peek(&frame), Some((1, version)));
                let mut r = Reader::new(frame);
                let head = Head::decode(&mut r).unwrap();
                let key = ApiKey::Fetch;
                assert_eq!(head, Head { key, version, correlation_id: 7, client_id });
                assert_eq!(FetchRequest::decode(&mut r, version), Ok(body));
                r.finish().unwrap();
            }
        }
    }

    #[test]
    fn a_response_is_read_back() {
        for version in ApiKey::Fetch.versions() {
            let body =
                FetchResponse { session_id: if version < 7 { 0 } else { 3 }, ..Default::default() };
            let frame = unframed(response(&body, version, -5).unwrap());
            assert_eq!(decode_response(frame, version), Ok((-5, body)));
        }
    }

    #[test]
    fn an_api_versions_request_from_the_future_can_still_be_answered() {
        let request = request(&ApiVersionsRequest::default(), 5, 9, None).unwrap();
        let mut frame = unframed(request).to_vec();
        frame[3] = 99;
        let head = Head::decode(&mut Reader::new(frame.into())).unwrap();
        assert_eq!((head.key, head.version, head.correlation_id), (ApiKey::ApiVersions, 99, 9));
        let answer = ApiVersionsResponse { error_code: 35, ..Default::default() };
        assert!(response(&answer, 0, head.correlation_id).is_ok());
    }

    #[test]
    fn an_unknown_key_and_an_impossible_length_are_refused() {
        let mut r = Reader::new(Bytes::from_static(&[0, 4, 0, 0, 0, 0, 0, 0]));
        assert_eq!(Head::decode(&mut r), Err(HeadError::UnknownKey(4)));
        assert_eq!(length(&[0x7f, 0xff, 0xff], 10), Ok(None));
        assert!(length(&[0x7f, 0xff, 0xff, 0xff], 10).is_err());
        assert!(length(&[0xff; 4], 10).is_err());
        assert_eq!(length(&[0, 0, 0, 10, 1], 10), Ok(Some(10)));
    }
}
