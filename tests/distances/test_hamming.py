import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance

from embedcourse.distances import binarize, hamming, pack_bits, packed_hamming, unpack_bits


def count_by_loop(x, y):
    count = 0
    for a, b in zip(x, y, strict=True):
        if a != b:
            count += 1
    return count


def test_two_names():
    assert hamming("Saurav", "Sourav") == 1
    assert hamming("Saurav", "Sourav", normalize=True) == pytest.approx(1 / 6)
    assert hamming("", "") == 0


@given(st.lists(st.tuples(st.characters(), st.characters()), min_size=1))
def test_words_are_compared_character_by_character(pairs):
    x, y = ("".join(side) for side in zip(*pairs, strict=True))
    assert hamming(x, y) == count_by_loop(x, y)
    assert hamming(x, y, normalize=True) == count_by_loop(x, y) / len(x)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1))
def test_tensors_are_compared_position_by_position(pairs):
    x, y = (list(side) for side in zip(*pairs, strict=True))
    got = hamming(torch.tensor(x), torch.tensor(y))
    assert got.dtype == torch.int64
    assert got.item() == count_by_loop(x, y)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float64])
def test_fraction_is_scipys(kind, device, generator):
    x, y = (torch.randint(0, 2, (9, 12), generator=generator).to(device, kind) for _ in range(2))
    expected = [scipy_distance.hamming(a, b) for a, b in zip(x.cpu().numpy(), y.cpu().numpy(), strict=True)]
    got = hamming(x, y, normalize=True)
    assert got.dtype == torch.get_default_dtype()
    torch.testing.assert_close(got.cpu(), torch.tensor(expected, dtype=got.dtype))
    assert hamming(x, y).tolist() == [round(12 * fraction) for fraction in expected]


def test_values_are_compared_not_their_bits(device):
    x, y = torch.tensor([1, 7, 0], device=device), torch.tensor([2, 7, 4], device=device)
    assert hamming(x, y).item() == 2


def test_leading_dimensions_broadcast(device):
    x = torch.tensor([[0, 1], [1, 1]], device=device)
    assert hamming(x[:, None], x).tolist() == [[0, 1], [1, 0]]


def test_an_integer_differs_from_its_neighbour_in_float32(device):
    whole, rounded = torch.tensor([2**24 + 1], device=device), torch.tensor([2.0**24], device=device)
    assert hamming(whole, rounded).item() == 1


def test_nan_differs_from_itself(device):
    x = torch.tensor([float("nan"), float("inf")], device=device)
    assert hamming(x, x).item() == 1


@pytest.mark.parametrize("d", [1, 7, 8, 9, 64, 384])
def test_packing_is_numpys(d, device, generator):
    bits = torch.rand(5, 3, d, generator=generator) > 0.5
    packed = pack_bits(bits.to(device)).cpu()
    np.testing.assert_array_equal(packed.numpy(), np.packbits(bits.numpy(), axis=-1))
    assert torch.equal(unpack_bits(packed)[..., :d], bits)


@pytest.mark.parametrize("d", [1, 7, 8, 63, 64, 65, 384])
def test_packed_codes_are_as_far_apart_as_their_bits(d, device, generator):
    x, y = ((torch.rand(20, d, generator=generator) > 0.5).to(device) for _ in range(2))
    got = packed_hamming(pack_bits(x)[:, None], pack_bits(y))
    assert got.dtype == torch.int64
    assert torch.equal(got, hamming(x[:, None], y))


def test_every_byte_pair():
    codes = torch.arange(256, dtype=torch.uint8)[:, None]
    expected = [[(a ^ b).bit_count() for b in range(256)] for a in range(256)]
    assert packed_hamming(codes[:, None], codes).tolist() == expected


def test_all_bits_set():
    ones = torch.full((16,), 255, dtype=torch.uint8)
    assert packed_hamming(ones, torch.zeros_like(ones)).item() == 128


def test_zero_is_not_above_the_threshold(device, dtype):
    x = torch.tensor([-1.0, 0.0, 0.5, float("nan")], device=device, dtype=dtype)
    assert binarize(x).tolist() == [False, False, True, False]
    assert binarize(x, threshold=0.5).tolist() == [False] * 4


@pytest.mark.usefixtures("as_a_user")
class TestBadInput:
    @pytest.mark.parametrize("pair", [("abc", "ab"), ("", "a")])
    def test_words_of_unequal_length(self, pair):
        with pytest.raises(ValueError, match=f"same length, got {len(pair[0])} and {len(pair[1])}"):
            hamming(*pair)

    def test_a_fraction_of_no_letters(self):
        with pytest.raises(ValueError, match="empty strings"):
            hamming("", "", normalize=True)

    def test_a_word_against_a_tensor(self):
        with pytest.raises(TypeError, match="two strings or two tensors, got str and Tensor"):
            hamming("abc", torch.zeros(3))

    def test_a_list(self):
        with pytest.raises(TypeError, match=r"x must be a torch\.Tensor, got list"):
            hamming([1], torch.zeros(1))

    def test_unequal_features(self):
        with pytest.raises(ValueError, match=r"same number of features.*\(3,\) and \(4,\)"):
            hamming(torch.zeros(3), torch.zeros(4))

    def test_one_feature_is_not_stretched(self):
        with pytest.raises(ValueError, match="same number of features"):
            hamming(torch.zeros(3), torch.zeros(1))

    def test_no_features(self):
        with pytest.raises(ValueError, match="at least one feature"):
            hamming(torch.zeros(2, 0), torch.zeros(2, 0))

    def test_packing_numbers(self):
        with pytest.raises(TypeError, match=r"bits must be a bool tensor.*float32"):
            pack_bits(torch.zeros(8))

    @pytest.mark.parametrize("function", [unpack_bits, lambda x: packed_hamming(x, x)])
    def test_codes_that_are_not_packed(self, function):
        with pytest.raises(TypeError, match=r"packed codes as uint8.*bool"):
            function(torch.zeros(8, dtype=torch.bool))

    def test_binarizing_words(self):
        with pytest.raises(TypeError, match=r"x must be a torch\.Tensor, got str"):
            binarize("abc")
