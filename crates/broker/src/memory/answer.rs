use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use uuid::Uuid;

use super::callers::{Callers, Share};
use super::{Room, Taken};
use crate::error::{Error, Result};

/// A smaller answer lies in what the kernel takes at once.
pub(crate) const LARGE: usize = 64 * 1024;

/// Marks an answer whose memory is others' too, or was taken before.
#[derive(Clone)]
pub(crate) struct Accounted;

/// Memory for the answers of many requests that are under way.
pub(crate) struct Answers {
    pub(crate) room: Room,
    callers: Callers,
}

/// The memory of one answer, until it is dropped.
pub(crate) struct AnswerRoom {
    _taken: Taken,
    _share: AnswerShare,
}

/// What an answer to a caller counts for it.
pub(crate) struct AnswerShare(#[expect(dead_code, reason = "it is held")] Share);

impl Answers {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            callers: Callers::default(),
        }
    }

    /// Memory for one more answer to a caller, which is refused if there is none, or if the caller has its share.
    pub(crate) fn take(&self, caller: Uuid, bytes: usize) -> Result<AnswerRoom> {
        let share = self.share(caller, bytes)?;
        Ok(AnswerRoom {
            _taken: self.take_for_all(bytes)?,
            _share: share,
        })
    }

    /// Counts an answer to a caller whose memory is others' too.
    pub(crate) fn share(&self, caller: Uuid, bytes: usize) -> Result<AnswerShare> {
        let mut share = self.callers.one(caller);
        share.take(bytes, &self.room)?;
        Ok(AnswerShare(share))
    }

    /// Memory for what goes to many callers.
    pub(crate) fn take_for_all(&self, bytes: usize) -> Result<Taken> {
        self.room.take(bytes).ok_or_else(|| {
            Error::Unavailable(
                "the broker sends as much at once as it has memory for; repeat the request"
                    .to_owned(),
            )
        })
    }
}

/// An answer as it goes out: a large one has its room for as long as it is under way, or is refused.
pub(crate) fn under_way(response: Response, caller: Uuid, answers: &Answers) -> Result<Response> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < LARGE || response.extensions().get::<Accounted>().is_some() {
        return Ok(response);
    }
    let taken = answers.take(caller, size)?;
    Ok(response.map(|body| {
        Body::new(UnderWay {
            body,
            taken: Some(taken),
        })
    }))
}

/// A body in one piece, which keeps its part of the room until the last of it is out: long after it was handed on to be sent.
struct UnderWay {
    body: Body,
    taken: Option<AnswerRoom>,
}

impl HttpBody for UnderWay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        polled.map_ok(|frame| {
            frame.map_data(|data| match this.taken.take() {
                Some(taken) => held(data, taken),
                None => data,
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that go with their part of a room, or with their share of one.
pub(crate) fn held(bytes: impl AsRef<[u8]> + Send + 'static, taken: impl Send + 'static) -> Bytes {
    Bytes::from_owner(Held {
        bytes,
        _taken: taken,
    })
}

struct Held<B, T> {
    bytes: B,
    _taken: T,
}

impl<B: AsRef<[u8]>, T> AsRef<[u8]> for Held<B, T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_has_its_room_until_the_last_of_it_is_out() {
        let answers = Answers::new(Room::new(1024 * 1024));
        let large = || vec![0; 600 * 1024].into_response();
        let to = |caller, response| under_way(response, Uuid::from_u128(caller), &answers);
        let body = to(1, large()).expect("room").into_body();
        assert!(to(2, large()).is_err());
        assert!(to(2, "small".into_response()).is_ok());
        let bytes = body.collect().await.expect("a body").to_bytes();
        assert!(to(2, large()).is_err(), "it is handed on, and not yet out");
        drop(bytes);
        assert!(to(2, large()).is_ok());
        assert_eq!(answers.room.taken(), 0);
    }

    #[test]
    fn who_does_not_read_shuts_no_other_out() {
        const KIB: usize = 1024;
        let answers = Answers::new(Room::new(1024 * KIB));
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut held: Vec<_> = (0..5)
            .filter_map(|_| answers.take(one, 200 * KIB).ok())
            .collect();
        assert_eq!(held.len(), 2, "half of the room");
        let refused = answers.take(one, 200 * KIB).err();
        assert!(matches!(refused, Some(Error::TooMany { .. })));
        let refused = answers.share(one, 200 * KIB).err();
        assert!(matches!(refused, Some(Error::TooMany { .. })));
        assert!(answers.take(other, 600 * KIB).is_ok(), "one of any size");
        held.pop();
        assert!(answers.take(one, 200 * KIB).is_ok());
        drop(held);
        assert!(answers.callers.is_empty());
    }
}
