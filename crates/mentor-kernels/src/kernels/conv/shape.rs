//! The sizes of a convolution, and what follows from them.

/// The sizes of a convolution with one group, the same stride, padding and dilation in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Channels of x.
    pub in_channels: usize,
    /// Rows of x.
    pub height: usize,
    /// Columns of x.
    pub width: usize,
    /// Channels of y.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// The distance between positions, at least 1.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// The distance between taps, at least 1.
    pub dilation: usize,
}

impl ConvShape {
    /// Rows of y.
    #[must_use]
    pub fn out_height(&self) -> usize {
        self.out_size(self.height, self.kernel[0])
    }

    /// Columns of y.
    #[must_use]
    pub fn out_width(&self) -> usize {
        self.out_size(self.width, self.kernel[1])
    }

    fn out_size(&self, size: usize, kernel: usize) -> usize {
        (size + 2 * self.padding)
            .checked_sub(self.dilation * (kernel - 1) + 1)
            .map_or(0, |room| room / self.stride + 1)
    }

    /// Values of x.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.batch * self.in_image()
    }

    /// Values of y.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.batch * self.out_image()
    }

    /// Values of w.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.patch()
    }

    /// Floating-point operations of the forward pass, and of each gradient: two for each product.
    #[must_use]
    pub fn operations(&self) -> usize {
        2 * self.output_len() * self.patch()
    }

    /// Products in one output value.
    pub(super) fn patch(&self) -> usize {
        self.in_channels * self.kernel[0] * self.kernel[1]
    }

    pub(super) fn in_image(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    pub(super) fn out_image(&self) -> usize {
        self.out_channels * self.out_height() * self.out_width()
    }

    pub(super) fn assert_valid(&self) {
        let Self { in_channels, height, width, out_channels, kernel, stride, dilation, .. } = *self;
        let positive = [in_channels, height, width, out_channels, kernel[0], kernel[1], stride, dilation];
        assert!(positive.iter().all(|&size| size > 0), "sizes of a convolution are at least 1: {self:?}");
    }
}
